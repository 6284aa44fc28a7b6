/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The boundary of the host's own text, arch/x86/virt of the kernel's source package, which host-SERIES.c includes when it
 * is compiled. There is no SEAMCALL here: mock.h is generated from tdxexplore.tdx.module, and has the TDX module and VMX as
 * variables. All that is replaced is in this file and in the file of the series.
 *
 * /proc/tdxhost takes an action, whose error the write returns, and gives what has happened since it was last opened to read.
 */
#include <linux/module.h>
#include <linux/acpi.h>
#include <linux/align.h>
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/gfp.h>
#include <linux/ktime.h>
#include <linux/memblock.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/sort.h>
#include <linux/stop_machine.h>
#include <linux/suspend.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <asm/cpufeature.h>
#include <asm/mce.h>
#include <asm/msr.h>
#include <asm/processor.h>
#include <asm/special_insns.h>
#include <asm/tdx.h>
#include "symbol.h"

/* -- what happened ----------------------------------------------------------------------------------------------- */

static char said[65536];
static int n_said;
static DEFINE_RAW_SPINLOCK(mock_lock);

#define NOW (ktime_get_ns() / 1000)
#define SAY(...) do { n_said += scnprintf(said + n_said, sizeof(said) - n_said, __VA_ARGS__); } while (0)

#include "mock.h"

/* -- the module ---------------------------------------------------------------------------------------------------- */

/* One call of what mock.h has; a CPU of the guest that the question has not is none of the platform's. */
static int mock(u64 leaf)
{
	unsigned long flags;
	int i, word = WORD_INVALID;

	raw_spin_lock_irqsave(&mock_lock, flags);
	for (i = 0; i < ARRAY_SIZE(mock_calls); i++)
		if (mock_calls[i].leaf == leaf)
			break;
	if (i < ARRAY_SIZE(mock_calls))
		word = mock_calls[i].call(smp_processor_id());
	else
		SAY("%llu %d SEAMCALL %llx = not in the mock\n", NOW, smp_processor_id(), leaf);
	raw_spin_unlock_irqrestore(&mock_lock, flags);
	return word;
}

/* TDH.SYS.RD: a module with the features that the host asks for, that takes 64 TDMRs with PAMT entries of 16 bytes. */
static u64 mock_field(u64 id)
{
	switch (id) {
	case 0x0A00000300000008: return BIT_ULL(1) | BIT_ULL(18); /* TD_PRESERVING, NO_RBP_MOD */
	case 0x8900000100000000: return 1; /* MODULE_HV */
	case 0x9100000100000008: return 64; /* MAX_TDMRS */
	case 0x9100000100000009: return 16; /* MAX_RESERVED_PER_TDMR */
	case 0x9100000100000010 ... 0x9100000100000012: return 16; /* PAMT_4K, 2M, 1G_ENTRY_SIZE */
	}
	return 0;
}

static u64 mock_seamcall(u64 fn, struct tdx_module_args *args)
{
	int word = mock(fn);

	if (word == WORD_SUCCESS && fn == LEAF_SYS_RD)
		args->r8 = mock_field(args->rdx);
	if (word == WORD_SUCCESS && fn == LEAF_SYS_TDMR_INIT)
		args->rdx = U64_MAX; /* no slice is left */
	switch (word) {
	case WORD_SUCCESS: return TDX_SUCCESS;
	case WORD_UD: return TDX_SEAMCALL_UD;
	case WORD_INVALID: return TDX_SEAMCALL_VMFAILINVALID;
	}
	return BIT_ULL(63) | (u64)word << 32;
}

u64 __seamcall(u64 fn, struct tdx_module_args *args) { return mock_seamcall(fn, args); }
u64 __seamcall_ret(u64 fn, struct tdx_module_args *args) { return mock_seamcall(fn, args); }
u64 __seamcall_saved_ret(u64 fn, struct tdx_module_args *args) { return mock_seamcall(fn, args); }

/* VMXON and VMXOFF of the mock, which QEMU does not emulate. */
static int mock_vmxon(void) { return mock(LEAF_VMXON) == WORD_OK ? 0 : -EBUSY; }
static int mock_vmxoff(void) { mock(LEAF_VMXOFF); return 0; }

/* Assertions of lockdep, which Debian's kernel is built without: here they are seen. */
static void asserts(bool holds, const char *rule, const char *function)
{
	unsigned long flags;

	if (holds)
		return;
	raw_spin_lock_irqsave(&mock_lock, flags);
	SAY("%llu %d WARN: %s in %s()\n", NOW, smp_processor_id(), rule, function);
	raw_spin_unlock_irqrestore(&mock_lock, flags);
}

#undef lockdep_assert_irqs_disabled
#define lockdep_assert_irqs_disabled() asserts(irqs_disabled(), "lockdep_assert_irqs_disabled()", __func__)
#undef lockdep_assert_preemption_disabled
#define lockdep_assert_preemption_disabled() asserts(!preemptible(), "lockdep_assert_preemption_disabled()", __func__)

/* -- functions that the kernel does not export: the kernel's own, by their addresses ----------------------------------- */

static typeof(&get_online_mems) real_get_online_mems;
static typeof(&put_online_mems) real_put_online_mems;
static typeof(&alloc_contig_pages_noprof) real_alloc_contig_pages_noprof;
static typeof(&stop_machine_cpuslocked) real_stop_machine_cpuslocked;
static typeof(&lockdep_assert_cpus_held) real_lockdep_assert_cpus_held;
static int (*real_walk_system_ram_range)(unsigned long start, unsigned long count, void *to,
					 int (*each)(unsigned long start, unsigned long count, void *to));

#define get_online_mems real_get_online_mems
#define put_online_mems real_put_online_mems
#define lockdep_assert_cpus_held real_lockdep_assert_cpus_held
#define stop_machine_cpuslocked real_stop_machine_cpuslocked
#undef alloc_contig_pages
#define alloc_contig_pages real_alloc_contig_pages_noprof

static bool find_functions(void)
{
	real_get_online_mems = symbol("get_online_mems");
	real_put_online_mems = symbol("put_online_mems");
	real_alloc_contig_pages_noprof = symbol("alloc_contig_pages_noprof");
	real_stop_machine_cpuslocked = symbol("stop_machine_cpuslocked");
	real_lockdep_assert_cpus_held = symbol("lockdep_assert_cpus_held");
	real_walk_system_ram_range = symbol("walk_system_ram_range");
	return real_get_online_mems && real_put_online_mems && real_alloc_contig_pages_noprof &&
	       real_stop_machine_cpuslocked && real_lockdep_assert_cpus_held && real_walk_system_ram_range;
}

/* -- what Debian's kernel or QEMU has not ------------------------------------------------------------------------------ */

/* memblock is gone after boot, as this kernel is built without INTEL_TDX_HOST: System RAM of the resource tree in its place. */
static struct { unsigned long start, end; } ram[16];
static int n_ram;

static int add_ram(unsigned long start, unsigned long count, void *unused)
{
	if (n_ram == ARRAY_SIZE(ram))
		return -ENOSPC;
	ram[n_ram].start = start;
	ram[n_ram++].end = start + count;
	return 0;
}

#undef for_each_mem_pfn_range
#define for_each_mem_pfn_range(i, nid, first, last, its_nid) \
	for (i = 0; i < n_ram && (*(first) = ram[i].start, *(last) = ram[i].end, *(its_nid) = 0, true); i++)

/* The firmware's partition of key ids (an MSR that QEMU has not): 16 for TDX, behind 0 of MKTME. */
#define KEY_IDS 16
static inline bool no_hibernation(void) { return false; }
#define hibernation_available no_hibernation
static void *no_suspend __maybe_unused;
#define acpi_suspend_lowlevel no_suspend

/* A bit of boot_cpu_data, which is lost when a CPU comes that has it not: the text asks for this one only. */
static bool has_tdx;
#undef setup_force_cpu_cap
#define setup_force_cpu_cap(bit) do { has_tdx = true; } while (0)
#undef boot_cpu_has
#define boot_cpu_has(bit) has_tdx
#undef setup_force_cpu_bug
#define setup_force_cpu_bug(bit) do { } while (0)

/* MOVDIR64B, which TCG has not. */
#define movdir64b(to, from) memcpy(to, from, 64)

/* Functions of boot are called by an action, and nothing of this module is exported. */
#undef __init
#define __init
#undef __initconst
#define __initconst
#undef __ro_after_init
#define __ro_after_init
#undef subsys_initcall
#define subsys_initcall(function)
#undef EXPORT_SYMBOL_GPL
#define EXPORT_SYMBOL_GPL(name)
#undef EXPORT_SYMBOL_FOR_KVM
#define EXPORT_SYMBOL_FOR_KVM(name)
#undef EXPORT_SYMBOL_FOR_MODULES
#define EXPORT_SYMBOL_FOR_MODULES(name, modules)

/* -- actions ------------------------------------------------------------------------------------------------------- */

static int host_begin(void);
static int host_do(const char *action);

static ssize_t host_write(struct file *file, const char __user *from, size_t size, loff_t *at)
{
	char action[32] = "";
	int error;

	if (size >= sizeof(action) || copy_from_user(action, from, size))
		return -EINVAL;
	error = host_do(strim(action));
	return error < 0 ? error : size;
}

static int host_show(struct seq_file *s, void *unused)
{
	seq_write(s, said, n_said);
	return 0;
}

static int host_open(struct inode *inode, struct file *file)
{
	return single_open_size(file, host_show, NULL, sizeof(said) + 1);
}

static const struct proc_ops host_ops = {
	.proc_open = host_open, .proc_read = seq_read, .proc_lseek = seq_lseek, .proc_release = single_release,
	.proc_write = host_write,
};

static int host_init(void)
{
	if (!find_functions())
		return -ENOENT;
	mock_init();
	real_walk_system_ram_range(0, ULONG_MAX >> PAGE_SHIFT, NULL, add_ram);
	proc_create("tdxhost", 0600, NULL, &host_ops);
	return host_begin();
}

module_init(host_init);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("The kernel's own host library of TDX; the TDX module and VMX are a mock of tdxexplore");
