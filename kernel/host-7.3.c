// SPDX-License-Identifier: GPL-2.0
/*
 * hw.c, tdx.c and seamldr.c of 7.3. KVM's part, its callbacks and the TD, is written here from docs/policies/linux-7.2-update.md.
 * KVM itself is not loaded; its cpuhp state is taken for its reference to VMX.
 */
#define CONFIG_INTEL_TDX_HOST 1
#include <linux/kvm_types.h>
#include <linux/syscore_ops.h>
#include <asm/seamldr.h>
#include <asm/virt.h>
#include <asm/vmx.h>
#include "host.h"

/* The key ids; and the erratum of P-SEAMLDR, which this CPU has not. */
static int mock_rdmsrq(u64 *value)
{
	*value = (u64)KEY_IDS << 32;
	return 0;
}

#undef rdmsrq_safe
#define rdmsrq_safe(msr, value) mock_rdmsrq(value)
#undef rdmsrq
#define rdmsrq(msr, value) ((value) = 0)
#undef boot_cpu_has_bug
#define boot_cpu_has_bug(bit) false
#undef cpu_feature_enabled
#define cpu_feature_enabled(bit) has_tdx

/* The kernel's own is not for modules. */
static DEFINE_PER_CPU(bool, mock_cache_state_incoherent);
#define cache_state_incoherent mock_cache_state_incoherent

/* Without these hw.c has no VMXON, no VMXOFF and no SVM: only who needs virtualization. */
#undef CONFIG_KVM_INTEL
#undef CONFIG_KVM_INTEL_MODULE
#undef CONFIG_KVM_AMD
#undef CONFIG_KVM_AMD_MODULE
#include "text/hw.c"
#include "text/tdx.c"
#include "text/seamldr.c"

static bool loaded, has_td;
static int key_id;
static struct tdx_td a_td;
static struct tdx_vp a_vp;

static int kvm_online(unsigned int cpu) { return x86_virt_get_ref(X86_FEATURE_VMX); }
static int kvm_offline(unsigned int cpu) { x86_virt_put_ref(X86_FEATURE_VMX); return 0; }

static int kvm_load(void)
{
	int error;

	if (loaded)
		return -EEXIST;
	error = cpuhp_setup_state(CPUHP_AP_KVM_ONLINE, "tdxhost/kvm:online", kvm_online, kvm_offline);
	loaded = !error;
	return error;
}

/* The TD goes first. The calls that destroy it are not made: the model has one step for all of them. */
static int kvm_unload(void)
{
	if (!loaded)
		return -ENOENT;
	if (has_td)
		tdx_guest_keyid_free(key_id);
	has_td = false;
	cpuhp_remove_state(CPUHP_AP_KVM_ONLINE);
	loaded = false;
	return 0;
}

static bool has_online_packages(void)
{
	unsigned long packages = 0;
	int cpu;

	for_each_online_cpu(cpu)
		packages |= BIT(package_of[cpu]);
	return packages == BIT(N_PACKAGES) - 1;
}

/* TDH.MNG.CREATE stands for all calls of creation, as in the model. */
static int td_create(void)
{
	int error = 0;

	if (!loaded || has_td || !tdx_get_sysinfo())
		return -EINVAL;
	key_id = tdx_guest_keyid_alloc();
	if (key_id < 0)
		return key_id;
	cpus_read_lock();
	if (!has_online_packages() || tdh_mng_create(&a_td, key_id))
		error = -EIO;
	cpus_read_unlock();
	if (error)
		tdx_guest_keyid_free(key_id);
	has_td = !error;
	return error;
}

static void td_enter(void *status)
{
	struct tdx_module_args args = {};

	*(u64 *)status = tdh_vp_enter(&a_vp, &args);
}

static int td_run(int cpu)
{
	u64 status;
	int error;

	if (!has_td)
		return -EINVAL;
	error = smp_call_function_single(cpu, td_enter, &status, true);
	return error ? error : status ? -EIO : 0;
}

/* An image that seamldr.c takes: a header, a page of SIGSTRUCT and one of the module. The mock does not look into it. */
static int update(void)
{
	struct tdx_image *image = vzalloc(3 * PAGE_SIZE);
	int error;

	if (!image)
		return -ENOMEM;
	image->header.version = TDX_IMAGE_VERSION_2;
	memcpy(image->header.signature, "TDX-BLOB", sizeof(image->header.signature));
	image->header.sigstruct_nr_pages = 1;
	image->header.module_nr_pages = 1;
	error = seamldr_install_module((u8 *)image, 3 * PAGE_SIZE);
	vfree(image);
	return error;
}

static int host_do(const char *action)
{
	int cpu;

	if (!strcmp(action, "boot"))
		return tdx_enable();
	if (!strcmp(action, "load"))
		return kvm_load();
	if (!strcmp(action, "unload"))
		return kvm_unload();
	if (!strcmp(action, "td"))
		return td_create();
	if (!strcmp(action, "update"))
		return update();
	if (sscanf(action, "run %d", &cpu) == 1)
		return td_run(cpu);
	return -EINVAL;
}

static int host_begin(void)
{
	a_td.tdr_page = alloc_page(GFP_KERNEL);
	if (!a_td.tdr_page)
		return -ENOMEM;
	virt_ops.feature = X86_FEATURE_VMX;
	virt_ops.enable_virtualization_cpu = mock_vmxon;
	virt_ops.disable_virtualization_cpu = mock_vmxoff;
	tdx_init();
	return has_tdx ? 0 : -ENODEV;
}
