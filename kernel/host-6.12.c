// SPDX-License-Identifier: GPL-2.0
/*
 * tdx.c of 6.12. Nobody calls tdx_enable() in that kernel: KVM's part, of 6.16, is written here from docs/policies/linux-6.16.md.
 * KVM itself is not loaded; its cpuhp state is taken for the mock's VMXON.
 */
#define CONFIG_INTEL_TDX_HOST 1
#include "host.h"

static int mock_rdmsr(u32 *low, u32 *high)
{
	*low = 0;
	*high = KEY_IDS;
	return 0;
}

#undef rdmsr_safe
#define rdmsr_safe(msr, low, high) mock_rdmsr(low, high)

#include "text/tdx.c"

static bool loaded;
static int slot;

static int kvm_online(unsigned int cpu) { return mock_vmxon(); }
static int kvm_offline(unsigned int cpu) { return mock_vmxoff(); }

static int tdx_online(unsigned int cpu)
{
	unsigned long flags;
	int error;

	local_irq_save(flags);
	error = tdx_cpu_enable();
	local_irq_restore(flags);
	return error;
}

static int kvm_load(void)
{
	int error = cpuhp_setup_state(CPUHP_AP_KVM_ONLINE, "tdxhost/kvm:online", kvm_online, kvm_offline);

	if (error)
		return error;
	cpus_read_lock();
	slot = cpuhp_setup_state_cpuslocked(CPUHP_AP_ONLINE_DYN, "tdxhost/kvm/tdx:online", tdx_online, NULL);
	if (slot < 0) {
		error = slot;
	} else {
		error = tdx_enable();
		if (error)
			cpuhp_remove_state_nocalls_cpuslocked(slot);
	}
	cpus_read_unlock();
	if (error)
		cpuhp_remove_state(CPUHP_AP_KVM_ONLINE);
	else
		loaded = true;
	return error;
}

static int kvm_unload(void)
{
	cpuhp_remove_state_nocalls(slot);
	cpuhp_remove_state(CPUHP_AP_KVM_ONLINE);
	loaded = false;
	return 0;
}

static int host_do(const char *action)
{
	if (!strcmp(action, "load"))
		return loaded ? -EEXIST : kvm_load();
	if (!strcmp(action, "unload"))
		return loaded ? kvm_unload() : -ENOENT;
	return -EINVAL;
}

static int host_begin(void)
{
	tdx_init();
	return has_tdx ? 0 : -ENODEV;
}
