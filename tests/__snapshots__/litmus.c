// SPDX-License-Identifier: GPL-2.0
// dyn-hook-if-enabled on strict in offline-mid-enable. There is no SEAMCALL here: VMX and the TDX module are a mock.
#define N_CPUS 2
#define N_PACKAGES 1
#define SENDERS 1
#ifndef LATE
#define LATE 20
#endif
#define NATIVES 43
#define HOOKS 3
#include "litmus.h"
static const int package_of[N_CPUS + 1] = { 0, 0 };
static DEFINE_MUTEX(m0); // cpuhp_state_mutex
static DEFINE_MUTEX(m1); // tdx_module_lock
static int f0; // booted
static int f1; // frozen
static int f2; // restarting
static int f3; // kvm_loaded
static int f4; // budget.kvm_load
static int f5; // enable_tdx
static int f6[N_CPUS + 1]; // virtualization_enabled
static int f7[N_CPUS + 1]; // vmx_on
static int f8; // hkid_live
static int f9; // oops
static int f10; // KVM_ONLINE registered
static int f11[N_CPUS + 1]; // tdx_lp_initialized
static int f12; // sysinit_ret
static int f13; // seamcall_outside_vmx
static int f14; // image_gone
static int f15; // sys_shutdown
static int f16; // seam_lock.exclusive
static int f17[N_CPUS + 1]; // in_seam
static int f18; // sys_state
static int f19[N_CPUS + 1]; // lp_is_init
static int f20; // pass.error
static int f21; // tdx_status
static int f22[N_PACKAGES]; // pkg_config
static int f23; // budget.tdmr_slice
static int f24; // TDX hook registered
static int f25; // kvm_tried
static int f26; // kvm_unloading
static int f27; // td
static int f28; // vm_refused
static int f29; // td_call_without_lp_init
static int f30; // warned
static int f31; // td_error
static int f32[N_CPUS + 1]; // td_entered
static int f33; // budget.cpu_down
static int slot[HOOKS], registering;
static int up0(unsigned int cpu), down0(unsigned int cpu);
static int up1(unsigned int cpu), down1(unsigned int cpu);
static int callback5(struct ctx *x) // CPUHP_AP_KVM_ONLINE startup
{
	int cpu __maybe_unused, r __maybe_unused;
	if (gate(x, 4))
		return 0;
	cpu = x->cpu;
	int t0 __maybe_unused = 0;
	int t1 __maybe_unused = 0;
L16: __maybe_unused;
	if (!!(f6[cpu] == 1))
		goto L29;
L17: __maybe_unused;
	if (!(f7[cpu] == 1))
		goto L21;
L18: __maybe_unused;
L19: __maybe_unused;
	t0 = 0;
L20: __maybe_unused;
	goto L25;
L21: __maybe_unused;
	f7[cpu] = 1;
L22: __maybe_unused;
L23: __maybe_unused;
	t0 = 1;
L24: __maybe_unused;
	goto L25;
L25: __maybe_unused;
	if (!!(t0 == 1))
		goto L28;
L26: __maybe_unused;
	t1 = t0;
L27: __maybe_unused;
	goto L31;
L28: __maybe_unused;
	f6[cpu] = 1;
L29: __maybe_unused;
	t1 = 1;
L30: __maybe_unused;
	goto L31;
L31: __maybe_unused;
	if (t1 == 1)
		return 0;
	if (t1 == 0)
		return -EBUSY;
	if (t1 == 2)
		return -EFAULT;
	if (t1 == 3)
		return -EACCES;
	if (t1 == 4)
		return -EIO;
	return 0;
}
static int callback6(struct ctx *x) // CPUHP_AP_KVM_ONLINE teardown (rollback)
{
	int cpu __maybe_unused, r __maybe_unused;
	if (gate(x, 6))
		return 0;
	cpu = x->cpu;
	int t2 __maybe_unused = 0;
	int t3 __maybe_unused = 0;
L46: __maybe_unused;
	if (!((f8 == 1) && !({ int i0, r0 = 0; for (i0 = 0; i0 < N_CPUS; i0++) if (package_of[i0] == package_of[cpu] && i0 != cpu) if ((cpu_online(i0) == 1)) r0 = 1; r0; })))
		goto L50;
L47: __maybe_unused;
L48: __maybe_unused;
	t2 = 0;
L49: __maybe_unused;
	goto L52;
L50: __maybe_unused;
	t2 = 1;
L51: __maybe_unused;
	goto L52;
L52: __maybe_unused;
	if (!!(t2 == 1))
		goto L55;
L53: __maybe_unused;
	t3 = 0;
L54: __maybe_unused;
	goto L65;
L55: __maybe_unused;
	if (!(f6[cpu] == 1))
		goto L63;
L56: __maybe_unused;
	if (!!(f7[cpu] == 1))
		goto L60;
L57: __maybe_unused;
L58: __maybe_unused;
	f9 = 5;
L59: __maybe_unused;
	goto L62;
L60: __maybe_unused;
	f7[cpu] = 0;
L61: __maybe_unused;
L62: __maybe_unused;
	f6[cpu] = 0;
L63: __maybe_unused;
	t3 = 1;
L64: __maybe_unused;
	goto L65;
L65: __maybe_unused;
	if (t3 == 1)
		return 0;
	if (t3 == 0)
		return -EBUSY;
	return 0;
}
static int callback14(struct ctx *x) // IPI tdx_cpu_enable()
{
	int cpu __maybe_unused, r __maybe_unused;
	if (gate(x, 9))
		return 0;
	cpu = x->cpu;
	int t5 __maybe_unused = 0;
	int t6 __maybe_unused = 0;
	int t7 __maybe_unused = 0;
L90: __maybe_unused;
	if (!(f11[cpu] == 1))
		goto L93;
L91: __maybe_unused;
	t5 = 1;
L92: __maybe_unused;
	goto L170;
L93: __maybe_unused;
	if (!(f12 == 6))
		goto L126;
L94: __maybe_unused;
	if (!!(f7[cpu] == 1))
		goto L99;
L95: __maybe_unused;
	f13 = 1;
L96: __maybe_unused;
L97: __maybe_unused;
	t6 = 7;
L98: __maybe_unused;
	goto L119;
L99: __maybe_unused;
	if (!(f14 == 1))
		goto L103;
L100: __maybe_unused;
L101: __maybe_unused;
	t6 = 8;
L102: __maybe_unused;
	goto L119;
L103: __maybe_unused;
	if (!(f15 == 1))
		goto L107;
L104: __maybe_unused;
L105: __maybe_unused;
	t6 = 9;
L106: __maybe_unused;
	goto L119;
L107: __maybe_unused;
	if (!((f16 == 1) || ({ int i0, r0 = 0; for (i0 = 0; i0 < N_CPUS; i0++) if ((f17[i0] == 1)) r0 = 1; r0; })))
		goto L111;
L108: __maybe_unused;
L109: __maybe_unused;
	t6 = 10;
L110: __maybe_unused;
	goto L119;
L111: __maybe_unused;
	if (!!(f18 == 11))
		goto L115;
L112: __maybe_unused;
L113: __maybe_unused;
	t6 = 12;
L114: __maybe_unused;
	goto L119;
L115: __maybe_unused;
	f18 = 13;
L116: __maybe_unused;
L117: __maybe_unused;
	t6 = 14;
L118: __maybe_unused;
	goto L119;
L119: __maybe_unused;
	if (!(t6 == 14))
		goto L122;
L120: __maybe_unused;
	f12 = 1;
L121: __maybe_unused;
	goto L126;
L122: __maybe_unused;
	if (!(t6 == 7))
		goto L125;
L123: __maybe_unused;
	f12 = 3;
L124: __maybe_unused;
	goto L126;
L125: __maybe_unused;
	f12 = 4;
L126: __maybe_unused;
	if (!(f12 == 3))
		goto L129;
L127: __maybe_unused;
	t5 = 3;
L128: __maybe_unused;
	goto L170;
L129: __maybe_unused;
	if (!(f12 == 4))
		goto L132;
L130: __maybe_unused;
	t5 = 4;
L131: __maybe_unused;
	goto L170;
L132: __maybe_unused;
	if (!!(f7[cpu] == 1))
		goto L137;
L133: __maybe_unused;
	f13 = 1;
L134: __maybe_unused;
L135: __maybe_unused;
	t7 = 7;
L136: __maybe_unused;
	goto L161;
L137: __maybe_unused;
	if (!(f14 == 1))
		goto L141;
L138: __maybe_unused;
L139: __maybe_unused;
	t7 = 8;
L140: __maybe_unused;
	goto L161;
L141: __maybe_unused;
	if (!(f15 == 1))
		goto L145;
L142: __maybe_unused;
L143: __maybe_unused;
	t7 = 9;
L144: __maybe_unused;
	goto L161;
L145: __maybe_unused;
	if (!(f16 == 1))
		goto L149;
L146: __maybe_unused;
L147: __maybe_unused;
	t7 = 10;
L148: __maybe_unused;
	goto L161;
L149: __maybe_unused;
	if (!!(f18 == 13))
		goto L153;
L150: __maybe_unused;
L151: __maybe_unused;
	t7 = 15;
L152: __maybe_unused;
	goto L161;
L153: __maybe_unused;
	if (!(f19[cpu] == 1))
		goto L157;
L154: __maybe_unused;
L155: __maybe_unused;
	t7 = 16;
L156: __maybe_unused;
	goto L161;
L157: __maybe_unused;
	f19[cpu] = 1;
L158: __maybe_unused;
L159: __maybe_unused;
	t7 = 14;
L160: __maybe_unused;
	goto L161;
L161: __maybe_unused;
	if (!(t7 == 14))
		goto L164;
L162: __maybe_unused;
	t5 = 1;
L163: __maybe_unused;
	goto L168;
L164: __maybe_unused;
	if (!(t7 == 7))
		goto L167;
L165: __maybe_unused;
	t5 = 3;
L166: __maybe_unused;
	goto L168;
L167: __maybe_unused;
	t5 = 4;
L168: __maybe_unused;
	if (!(t5 == 1))
		goto L170;
L169: __maybe_unused;
	f11[cpu] = 1;
L170: __maybe_unused;
	if (!!(t5 == 1))
		goto L172;
L171: __maybe_unused;
	f20 = 1;
L172: __maybe_unused;
	return 0;
}
static void pass13(void *sender)
{
	int cpu = smp_processor_id();
	struct ctx y = { .who = WHO(0, cpu), .cpu = cpu, .atomic = true };
	if (cpu < N_CPUS)
		callback14(&y);
	handled(sender, &y);
}
static int callback25(struct ctx *x) // CPUHP_AP_ONLINE_DYN startup
{
	int cpu __maybe_unused, r __maybe_unused;
	if (gate(x, 17))
		return 0;
	cpu = x->cpu;
	int t14 __maybe_unused = 0;
	int t15 __maybe_unused = 0;
	int t16 __maybe_unused = 0;
	int t17 __maybe_unused = 0;
L338: __maybe_unused;
	if (!!(f5 == 1))
		goto L341;
L339: __maybe_unused;
	t14 = 1;
L340: __maybe_unused;
	goto L423;
L341: __maybe_unused;
	if (!(f11[cpu] == 1))
		goto L344;
L342: __maybe_unused;
	t15 = 1;
L343: __maybe_unused;
	goto L421;
L344: __maybe_unused;
	if (!(f12 == 6))
		goto L377;
L345: __maybe_unused;
	if (!!(f7[cpu] == 1))
		goto L350;
L346: __maybe_unused;
	f13 = 1;
L347: __maybe_unused;
L348: __maybe_unused;
	t16 = 7;
L349: __maybe_unused;
	goto L370;
L350: __maybe_unused;
	if (!(f14 == 1))
		goto L354;
L351: __maybe_unused;
L352: __maybe_unused;
	t16 = 8;
L353: __maybe_unused;
	goto L370;
L354: __maybe_unused;
	if (!(f15 == 1))
		goto L358;
L355: __maybe_unused;
L356: __maybe_unused;
	t16 = 9;
L357: __maybe_unused;
	goto L370;
L358: __maybe_unused;
	if (!((f16 == 1) || ({ int i0, r0 = 0; for (i0 = 0; i0 < N_CPUS; i0++) if ((f17[i0] == 1)) r0 = 1; r0; })))
		goto L362;
L359: __maybe_unused;
L360: __maybe_unused;
	t16 = 10;
L361: __maybe_unused;
	goto L370;
L362: __maybe_unused;
	if (!!(f18 == 11))
		goto L366;
L363: __maybe_unused;
L364: __maybe_unused;
	t16 = 12;
L365: __maybe_unused;
	goto L370;
L366: __maybe_unused;
	f18 = 13;
L367: __maybe_unused;
L368: __maybe_unused;
	t16 = 14;
L369: __maybe_unused;
	goto L370;
L370: __maybe_unused;
	if (!(t16 == 14))
		goto L373;
L371: __maybe_unused;
	f12 = 1;
L372: __maybe_unused;
	goto L377;
L373: __maybe_unused;
	if (!(t16 == 7))
		goto L376;
L374: __maybe_unused;
	f12 = 3;
L375: __maybe_unused;
	goto L377;
L376: __maybe_unused;
	f12 = 4;
L377: __maybe_unused;
	if (!(f12 == 3))
		goto L380;
L378: __maybe_unused;
	t15 = 3;
L379: __maybe_unused;
	goto L421;
L380: __maybe_unused;
	if (!(f12 == 4))
		goto L383;
L381: __maybe_unused;
	t15 = 4;
L382: __maybe_unused;
	goto L421;
L383: __maybe_unused;
	if (!!(f7[cpu] == 1))
		goto L388;
L384: __maybe_unused;
	f13 = 1;
L385: __maybe_unused;
L386: __maybe_unused;
	t17 = 7;
L387: __maybe_unused;
	goto L412;
L388: __maybe_unused;
	if (!(f14 == 1))
		goto L392;
L389: __maybe_unused;
L390: __maybe_unused;
	t17 = 8;
L391: __maybe_unused;
	goto L412;
L392: __maybe_unused;
	if (!(f15 == 1))
		goto L396;
L393: __maybe_unused;
L394: __maybe_unused;
	t17 = 9;
L395: __maybe_unused;
	goto L412;
L396: __maybe_unused;
	if (!(f16 == 1))
		goto L400;
L397: __maybe_unused;
L398: __maybe_unused;
	t17 = 10;
L399: __maybe_unused;
	goto L412;
L400: __maybe_unused;
	if (!!(f18 == 13))
		goto L404;
L401: __maybe_unused;
L402: __maybe_unused;
	t17 = 15;
L403: __maybe_unused;
	goto L412;
L404: __maybe_unused;
	if (!(f19[cpu] == 1))
		goto L408;
L405: __maybe_unused;
L406: __maybe_unused;
	t17 = 16;
L407: __maybe_unused;
	goto L412;
L408: __maybe_unused;
	f19[cpu] = 1;
L409: __maybe_unused;
L410: __maybe_unused;
	t17 = 14;
L411: __maybe_unused;
	goto L412;
L412: __maybe_unused;
	if (!(t17 == 14))
		goto L415;
L413: __maybe_unused;
	t15 = 1;
L414: __maybe_unused;
	goto L419;
L415: __maybe_unused;
	if (!(t17 == 7))
		goto L418;
L416: __maybe_unused;
	t15 = 3;
L417: __maybe_unused;
	goto L419;
L418: __maybe_unused;
	t15 = 4;
L419: __maybe_unused;
	if (!(t15 == 1))
		goto L421;
L420: __maybe_unused;
	f11[cpu] = 1;
L421: __maybe_unused;
	t14 = t15;
L422: __maybe_unused;
	goto L423;
L423: __maybe_unused;
	if (t14 == 1)
		return 0;
	if (t14 == 3)
		return -EACCES;
	if (t14 == 4)
		return -EIO;
	return 0;
}
static int callback26(struct ctx *x) // CPUHP_AP_ONLINE_DYN teardown (rollback)
{
	int cpu __maybe_unused, r __maybe_unused;
	if (gate(x, 19))
		return 0;
	cpu = x->cpu;
	int t18 __maybe_unused = 0;
L438: __maybe_unused;
	t18 = 1;
L439: __maybe_unused;
	goto L440;
L440: __maybe_unused;
	if (t18 == 1)
		return 0;
	return 0;
}
static int callback39(struct ctx *x) // CPUHP_AP_ONLINE_DYN teardown
{
	int cpu __maybe_unused, r __maybe_unused;
	if (gate(x, 27))
		return 0;
	cpu = x->cpu;
	int t23 __maybe_unused = 0;
L13: __maybe_unused;
	t23 = 1;
L14: __maybe_unused;
	goto L15;
L15: __maybe_unused;
	if (t23 == 1)
		return 0;
	return 0;
}
static int callback40(struct ctx *x) // CPUHP_AP_KVM_ONLINE teardown
{
	int cpu __maybe_unused, r __maybe_unused;
	if (gate(x, 28))
		return 0;
	cpu = x->cpu;
	int t24 __maybe_unused = 0;
	int t25 __maybe_unused = 0;
L22: __maybe_unused;
	if (!((f8 == 1) && !({ int i0, r0 = 0; for (i0 = 0; i0 < N_CPUS; i0++) if (package_of[i0] == package_of[cpu] && i0 != cpu) if ((cpu_online(i0) == 1)) r0 = 1; r0; })))
		goto L26;
L23: __maybe_unused;
L24: __maybe_unused;
	t24 = 0;
L25: __maybe_unused;
	goto L28;
L26: __maybe_unused;
	t24 = 1;
L27: __maybe_unused;
	goto L28;
L28: __maybe_unused;
	if (!!(t24 == 1))
		goto L31;
L29: __maybe_unused;
	t25 = 0;
L30: __maybe_unused;
	goto L41;
L31: __maybe_unused;
	if (!(f6[cpu] == 1))
		goto L39;
L32: __maybe_unused;
	if (!!(f7[cpu] == 1))
		goto L36;
L33: __maybe_unused;
L34: __maybe_unused;
	f9 = 5;
L35: __maybe_unused;
	goto L38;
L36: __maybe_unused;
	f7[cpu] = 0;
L37: __maybe_unused;
L38: __maybe_unused;
	f6[cpu] = 0;
L39: __maybe_unused;
	t25 = 1;
L40: __maybe_unused;
	goto L41;
L41: __maybe_unused;
	if (t25 == 1)
		return 0;
	if (t25 == 0)
		return -EBUSY;
	return 0;
}
static int callback41(struct ctx *x) // CPUHP_AP_ONLINE_DYN startup (rollback)
{
	int cpu __maybe_unused, r __maybe_unused;
	if (gate(x, 29))
		return 0;
	cpu = x->cpu;
	int t26 __maybe_unused = 0;
	int t27 __maybe_unused = 0;
	int t28 __maybe_unused = 0;
	int t29 __maybe_unused = 0;
L45: __maybe_unused;
	if (!!(f5 == 1))
		goto L48;
L46: __maybe_unused;
	t26 = 1;
L47: __maybe_unused;
	goto L130;
L48: __maybe_unused;
	if (!(f11[cpu] == 1))
		goto L51;
L49: __maybe_unused;
	t27 = 1;
L50: __maybe_unused;
	goto L128;
L51: __maybe_unused;
	if (!(f12 == 6))
		goto L84;
L52: __maybe_unused;
	if (!!(f7[cpu] == 1))
		goto L57;
L53: __maybe_unused;
	f13 = 1;
L54: __maybe_unused;
L55: __maybe_unused;
	t28 = 7;
L56: __maybe_unused;
	goto L77;
L57: __maybe_unused;
	if (!(f14 == 1))
		goto L61;
L58: __maybe_unused;
L59: __maybe_unused;
	t28 = 8;
L60: __maybe_unused;
	goto L77;
L61: __maybe_unused;
	if (!(f15 == 1))
		goto L65;
L62: __maybe_unused;
L63: __maybe_unused;
	t28 = 9;
L64: __maybe_unused;
	goto L77;
L65: __maybe_unused;
	if (!((f16 == 1) || ({ int i0, r0 = 0; for (i0 = 0; i0 < N_CPUS; i0++) if ((f17[i0] == 1)) r0 = 1; r0; })))
		goto L69;
L66: __maybe_unused;
L67: __maybe_unused;
	t28 = 10;
L68: __maybe_unused;
	goto L77;
L69: __maybe_unused;
	if (!!(f18 == 11))
		goto L73;
L70: __maybe_unused;
L71: __maybe_unused;
	t28 = 12;
L72: __maybe_unused;
	goto L77;
L73: __maybe_unused;
	f18 = 13;
L74: __maybe_unused;
L75: __maybe_unused;
	t28 = 14;
L76: __maybe_unused;
	goto L77;
L77: __maybe_unused;
	if (!(t28 == 14))
		goto L80;
L78: __maybe_unused;
	f12 = 1;
L79: __maybe_unused;
	goto L84;
L80: __maybe_unused;
	if (!(t28 == 7))
		goto L83;
L81: __maybe_unused;
	f12 = 3;
L82: __maybe_unused;
	goto L84;
L83: __maybe_unused;
	f12 = 4;
L84: __maybe_unused;
	if (!(f12 == 3))
		goto L87;
L85: __maybe_unused;
	t27 = 3;
L86: __maybe_unused;
	goto L128;
L87: __maybe_unused;
	if (!(f12 == 4))
		goto L90;
L88: __maybe_unused;
	t27 = 4;
L89: __maybe_unused;
	goto L128;
L90: __maybe_unused;
	if (!!(f7[cpu] == 1))
		goto L95;
L91: __maybe_unused;
	f13 = 1;
L92: __maybe_unused;
L93: __maybe_unused;
	t29 = 7;
L94: __maybe_unused;
	goto L119;
L95: __maybe_unused;
	if (!(f14 == 1))
		goto L99;
L96: __maybe_unused;
L97: __maybe_unused;
	t29 = 8;
L98: __maybe_unused;
	goto L119;
L99: __maybe_unused;
	if (!(f15 == 1))
		goto L103;
L100: __maybe_unused;
L101: __maybe_unused;
	t29 = 9;
L102: __maybe_unused;
	goto L119;
L103: __maybe_unused;
	if (!(f16 == 1))
		goto L107;
L104: __maybe_unused;
L105: __maybe_unused;
	t29 = 10;
L106: __maybe_unused;
	goto L119;
L107: __maybe_unused;
	if (!!(f18 == 13))
		goto L111;
L108: __maybe_unused;
L109: __maybe_unused;
	t29 = 15;
L110: __maybe_unused;
	goto L119;
L111: __maybe_unused;
	if (!(f19[cpu] == 1))
		goto L115;
L112: __maybe_unused;
L113: __maybe_unused;
	t29 = 16;
L114: __maybe_unused;
	goto L119;
L115: __maybe_unused;
	f19[cpu] = 1;
L116: __maybe_unused;
L117: __maybe_unused;
	t29 = 14;
L118: __maybe_unused;
	goto L119;
L119: __maybe_unused;
	if (!(t29 == 14))
		goto L122;
L120: __maybe_unused;
	t27 = 1;
L121: __maybe_unused;
	goto L126;
L122: __maybe_unused;
	if (!(t29 == 7))
		goto L125;
L123: __maybe_unused;
	t27 = 3;
L124: __maybe_unused;
	goto L126;
L125: __maybe_unused;
	t27 = 4;
L126: __maybe_unused;
	if (!(t27 == 1))
		goto L128;
L127: __maybe_unused;
	f11[cpu] = 1;
L128: __maybe_unused;
	t26 = t27;
L129: __maybe_unused;
	goto L130;
L130: __maybe_unused;
	if (t26 == 1)
		return 0;
	if (t26 == 3)
		return -EACCES;
	if (t26 == 4)
		return -EIO;
	return 0;
}
static int called(int hook, int up, unsigned int cpu)
{
	struct ctx y = { .cpu = cpu }, *x = &y;
	struct task_struct *before;
	int label, r = 0;
	if (cpu >= N_CPUS || over)
		return 0;
	y.who = cpu_active(cpu) ? registering : hot.who;
	label = next_label(y.who);
	before = task[y.who];
	task[y.who] = current;
	if (0)
		;
	else if (hook == 0 && up == 1 && label == 4 && x->who / 16 == 0)
		r = callback5(x);
	else if (hook == 0 && up == 0 && label == 6 && x->who / 16 == 0)
		r = callback6(x);
	else if (hook == 1 && up == 1 && label == 17 && x->who / 16 == 0)
		r = callback25(x);
	else if (hook == 1 && up == 0 && label == 19 && x->who / 16 == 0)
		r = callback26(x);
	else if (hook == 1 && up == 0 && label == 27 && x->who / 16 == 3)
		r = callback39(x);
	else if (hook == 0 && up == 0 && label == 28 && x->who / 16 == 3)
		r = callback40(x);
	else if (hook == 1 && up == 1 && label == 29 && x->who / 16 == 3)
		r = callback41(x);
	else
		gate(x, 1000 + 2 * hook + up);
	task[y.who] = before;
	return r;
}
static int up0(unsigned int cpu)
{
	return called(0, 1, cpu);
}
static int down0(unsigned int cpu)
{
	return called(0, 0, cpu);
}
static int up1(unsigned int cpu)
{
	return called(1, 1, cpu);
}
static int down1(unsigned int cpu)
{
	return called(1, 0, cpu);
}
static int writers_label(int actor, bool first)
{
	return -1;
}
static int actor0(void *argument) // kvm
{
	struct ctx *x = argument;
	int cpu __maybe_unused = x->cpu < 0 ? 0 : x->cpu, r __maybe_unused;
	x->moves = true;
	int t4 __maybe_unused = 0;
	int t8 __maybe_unused = 0;
	int t9 __maybe_unused = 0;
	int t10 __maybe_unused = 0;
	int t11 __maybe_unused = 0;
	int t12 __maybe_unused = 0;
	int t13 __maybe_unused = 0;
	int t19 __maybe_unused = 0;
L0: __maybe_unused;
	if (gate(x, 0)) // modprobe kvm_intel tdx=1
		goto gone;
	cpu = x->now.cpu < 0 ? cpu : x->now.cpu;
L1: __maybe_unused;
	if (!((((((f0 == 1) && !(f1 == 1)) && !(f2 == 1)) && !(f3 == 1)) && (f4 == 1)) && 1))
		disagree("a step of who %d is not enabled", x->who);
L2: __maybe_unused;
	f4 += -1;
L3: __maybe_unused;
	f5 = 1;
L4: __maybe_unused;
	if (gate(x, 1)) // cpus_read_lock()
		goto gone;
	cpu = x->now.cpu < 0 ? cpu : x->now.cpu;
	registering = x->who;
	r = cpuhp_setup_state(CPUHP_AP_KVM_ONLINE, "litmus:0", up0, down0);
	last_errno[0] = r < 0 ? r : 0;
	if (r >= 0)
		slot[0] = r ? r : CPUHP_AP_KVM_ONLINE;
	f10 = r >= 0;
	t4 = r < 0 ? 4 : 1;
L81: __maybe_unused;
	if (!(t4 == 1))
		goto L460;
L82: __maybe_unused;
	if (gate(x, 7)) // cpus_read_lock()
		goto gone;
	cpu = x->now.cpu < 0 ? cpu : x->now.cpu;
	cpus_read_lock();
	took(x, NULL);
L85: __maybe_unused;
	{ int i; struct cpumask mask; cpumask_clear(&mask);
	for (i = 0; i < N_CPUS; i++) if ((cpu_online(i) == 1)) cpumask_set_cpu(i, &mask);
	if (sends(x, &mask, 0)) on_each_cpu_mask(&mask, pass13, x, true);
	if (over) goto gone; }
L175: __maybe_unused;
	if (!(f20 == 1))
		goto L180;
L176: __maybe_unused;
	f20 = 0;
L177: __maybe_unused;
	f5 = 0;
L178: __maybe_unused;
	drop(x);
L179: __maybe_unused;
	goto L459;
L180: __maybe_unused;
	if (gate(x, 10)) // mutex_lock(&tdx_module_lock)
		goto gone;
	cpu = x->now.cpu < 0 ? cpu : x->now.cpu;
	mutex_lock(&m1);
	took(x, &m1);
L183: __maybe_unused;
	if (!(f21 == 17))
		goto L186;
L184: __maybe_unused;
	t8 = 1;
L185: __maybe_unused;
	goto L319;
L186: __maybe_unused;
	if (!(f21 == 18))
		goto L190;
L187: __maybe_unused;
L188: __maybe_unused;
	t8 = 19;
L189: __maybe_unused;
	goto L319;
L190: __maybe_unused;
	if (gate(x, 11)) // config_tdx_module()
		goto gone;
	cpu = x->now.cpu < 0 ? cpu : x->now.cpu;
L191: __maybe_unused;
	if (!(cpu_active(cpu) == 1))
		disagree("a step of who %d is not enabled", x->who);
L192: __maybe_unused;
	if (!!(f7[cpu] == 1))
		goto L197;
L193: __maybe_unused;
	f13 = 1;
L194: __maybe_unused;
L195: __maybe_unused;
	t9 = 7;
L196: __maybe_unused;
	goto L212;
L197: __maybe_unused;
	if (!(f14 == 1))
		goto L201;
L198: __maybe_unused;
L199: __maybe_unused;
	t9 = 8;
L200: __maybe_unused;
	goto L212;
L201: __maybe_unused;
	if (!(f15 == 1))
		goto L205;
L202: __maybe_unused;
L203: __maybe_unused;
	t9 = 9;
L204: __maybe_unused;
	goto L212;
L205: __maybe_unused;
	if (!!(f19[cpu] == 1))
		goto L209;
L206: __maybe_unused;
L207: __maybe_unused;
	t9 = 20;
L208: __maybe_unused;
	goto L212;
L209: __maybe_unused;
L210: __maybe_unused;
	t9 = 14;
L211: __maybe_unused;
	goto L212;
L212: __maybe_unused;
	if (!!(t9 == 14))
		goto L215;
L213: __maybe_unused;
	t10 = 4;
L214: __maybe_unused;
	goto L314;
L215: __maybe_unused;
	if (!!(f7[cpu] == 1))
		goto L220;
L216: __maybe_unused;
	f13 = 1;
L217: __maybe_unused;
L218: __maybe_unused;
	t11 = 7;
L219: __maybe_unused;
	goto L241;
L220: __maybe_unused;
	if (!(f14 == 1))
		goto L224;
L221: __maybe_unused;
L222: __maybe_unused;
	t11 = 8;
L223: __maybe_unused;
	goto L241;
L224: __maybe_unused;
	if (!(f15 == 1))
		goto L228;
L225: __maybe_unused;
L226: __maybe_unused;
	t11 = 9;
L227: __maybe_unused;
	goto L241;
L228: __maybe_unused;
	if (!((f16 == 1) || ({ int i0, r0 = 0; for (i0 = 0; i0 < N_CPUS; i0++) if ((f17[i0] == 1)) r0 = 1; r0; })))
		goto L232;
L229: __maybe_unused;
L230: __maybe_unused;
	t11 = 10;
L231: __maybe_unused;
	goto L241;
L232: __maybe_unused;
	if (!(!(f18 == 13) || !!({ int i0, r0 = 0; for (i0 = 0; i0 < N_CPUS; i0++) if (!(f19[i0] == 1)) r0 = 1; r0; })))
		goto L236;
L233: __maybe_unused;
L234: __maybe_unused;
	t11 = 21;
L235: __maybe_unused;
	goto L241;
L236: __maybe_unused;
	f18 = 22;
L237: __maybe_unused;
	{ int i; for (i = 0; i < N_PACKAGES; i++) if (1) { f22[i] = 0; } }
L238: __maybe_unused;
L239: __maybe_unused;
	t11 = 14;
L240: __maybe_unused;
	goto L241;
L241: __maybe_unused;
	if (!!(t11 == 14))
		goto L244;
L242: __maybe_unused;
	t10 = 4;
L243: __maybe_unused;
	goto L314;
L244: __maybe_unused;
	if (gate(x, 12)) // config_global_keyid()
		goto gone;
	cpu = x->now.cpu < 0 ? cpu : x->now.cpu;
L245: __maybe_unused;
	if (!((cpu_online(cpu) == 1) && !(f22[package_of[cpu]] == 1)))
		disagree("a step of who %d is not enabled", x->who);
L246: __maybe_unused;
	if (!!(f7[cpu] == 1))
		goto L251;
L247: __maybe_unused;
	f13 = 1;
L248: __maybe_unused;
L249: __maybe_unused;
	t12 = 7;
L250: __maybe_unused;
	goto L277;
L251: __maybe_unused;
	if (!(f14 == 1))
		goto L255;
L252: __maybe_unused;
L253: __maybe_unused;
	t12 = 8;
L254: __maybe_unused;
	goto L277;
L255: __maybe_unused;
	if (!(f15 == 1))
		goto L259;
L256: __maybe_unused;
L257: __maybe_unused;
	t12 = 9;
L258: __maybe_unused;
	goto L277;
L259: __maybe_unused;
	if (!((f16 == 1) || ({ int i0, r0 = 0; for (i0 = 0; i0 < N_CPUS; i0++) if ((f17[i0] == 1)) r0 = 1; r0; })))
		goto L263;
L260: __maybe_unused;
L261: __maybe_unused;
	t12 = 10;
L262: __maybe_unused;
	goto L277;
L263: __maybe_unused;
	if (!!(f18 == 22))
		goto L267;
L264: __maybe_unused;
L265: __maybe_unused;
	t12 = 23;
L266: __maybe_unused;
	goto L277;
L267: __maybe_unused;
	if (!(f22[package_of[cpu]] == 1))
		goto L271;
L268: __maybe_unused;
L269: __maybe_unused;
	t12 = 24;
L270: __maybe_unused;
	goto L277;
L271: __maybe_unused;
	f22[package_of[cpu]] = 1;
L272: __maybe_unused;
	if (!!({ int i0, r0 = 0; for (i0 = 0; i0 < N_PACKAGES; i0++) if (!(f22[i0] == 1)) r0 = 1; r0; }))
		goto L274;
L273: __maybe_unused;
	f18 = 25;
L274: __maybe_unused;
L275: __maybe_unused;
	t12 = 14;
L276: __maybe_unused;
	goto L277;
L277: __maybe_unused;
	if (!!(t12 == 14))
		goto L280;
L278: __maybe_unused;
	t10 = 4;
L279: __maybe_unused;
	goto L314;
L280: __maybe_unused;
	if (!!({ int i0, r0 = 0; for (i0 = 0; i0 < N_PACKAGES; i0++) if ((!(f22[i0] == 1) && ({ int i1, r1 = 0; for (i1 = 0; i1 < N_CPUS; i1++) if (package_of[i1] == i0) if ((cpu_online(i1) == 1)) r1 = 1; r1; }))) r0 = 1; r0; }))
		goto L282;
L281: __maybe_unused;
	goto L283;
L282: __maybe_unused;
	goto L244;
L283: __maybe_unused;
	if (gate(x, 13)) // init_tdmrs()
		goto gone;
	cpu = x->now.cpu < 0 ? cpu : x->now.cpu;
L284: __maybe_unused;
	if (!(cpu_active(cpu) == 1))
		disagree("a step of who %d is not enabled", x->who);
L285: __maybe_unused;
	if (!!(f7[cpu] == 1))
		goto L290;
L286: __maybe_unused;
	f13 = 1;
L287: __maybe_unused;
L288: __maybe_unused;
	t13 = 7;
L289: __maybe_unused;
	goto L305;
L290: __maybe_unused;
	if (!(f14 == 1))
		goto L294;
L291: __maybe_unused;
L292: __maybe_unused;
	t13 = 8;
L293: __maybe_unused;
	goto L305;
L294: __maybe_unused;
	if (!(f15 == 1))
		goto L298;
L295: __maybe_unused;
L296: __maybe_unused;
	t13 = 9;
L297: __maybe_unused;
	goto L305;
L298: __maybe_unused;
	if (!!(f18 == 25))
		goto L302;
L299: __maybe_unused;
L300: __maybe_unused;
	t13 = 26;
L301: __maybe_unused;
	goto L305;
L302: __maybe_unused;
L303: __maybe_unused;
	t13 = 14;
L304: __maybe_unused;
	goto L305;
L305: __maybe_unused;
	if (!!(t13 == 14))
		goto L308;
L306: __maybe_unused;
	t10 = 4;
L307: __maybe_unused;
	goto L314;
L308: __maybe_unused;
	if (!(f23 == 0))
		goto L310;
L309: __maybe_unused;
	goto L312;
L310: __maybe_unused;
	f23 += -1;
L311: __maybe_unused;
	goto L283;
L312: __maybe_unused;
	t10 = 1;
L313: __maybe_unused;
	goto L314;
L314: __maybe_unused;
	if (!(t10 == 1))
		goto L317;
L315: __maybe_unused;
	f21 = 17;
L316: __maybe_unused;
	goto L318;
L317: __maybe_unused;
	f21 = 18;
L318: __maybe_unused;
	t8 = t10;
L319: __maybe_unused;
	drop(x);
L320: __maybe_unused;
	if (!!(t8 == 1))
		goto L324;
L321: __maybe_unused;
	f5 = 0;
L322: __maybe_unused;
	drop(x);
L323: __maybe_unused;
	goto L459;
L324: __maybe_unused;
	if (gate(x, 14)) // cpus_read_lock()
		goto gone;
	cpu = x->now.cpu < 0 ? cpu : x->now.cpu;
	registering = x->who;
	r = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "litmus:1", up1, down1);
	last_errno[20] = r < 0 ? r : 0;
	if (r >= 0)
		slot[1] = r ? r : CPUHP_AP_ONLINE_DYN;
	f24 = r >= 0;
	t19 = r < 0 ? 4 : 1;
L456: __maybe_unused;
	if (!!(t19 == 1))
		goto L458;
L457: __maybe_unused;
	f5 = 0;
L458: __maybe_unused;
	drop(x);
L459: __maybe_unused;
	f3 = 1;
L460: __maybe_unused;
	f25 = 1;
L461: __maybe_unused;
	goto L0;
L462:
	finish(x, NOWHERE);
gone:
	drop_all(x);
	kfree(x);
	atomic_dec(&alive);
	return 0;
}
static int actor1(void *argument) // td
{
	struct ctx *x = argument;
	int cpu __maybe_unused = x->cpu < 0 ? 0 : x->cpu, r __maybe_unused;
	x->moves = true;
	int t20 __maybe_unused = 0;
	int t21 __maybe_unused = 0;
L0: __maybe_unused;
	if (gate(x, 20)) // KVM_CREATE_VM
		goto gone;
	cpu = x->now.cpu < 0 ? cpu : x->now.cpu;
L1: __maybe_unused;
	if (!(((!(f1 == 1) && (f3 == 1)) && (f5 == 1)) && !(f26 == 1)))
		disagree("a step of who %d is not enabled", x->who);
L2: __maybe_unused;
	f27 = 27;
L3: __maybe_unused;
	t20 = 1;
L4: __maybe_unused;
	goto L5;
L5: __maybe_unused;
	if (!!(t20 == 1))
		goto L8;
L6: __maybe_unused;
	f28 = 1;
L7: __maybe_unused;
	goto L57;
L8: __maybe_unused;
	if (gate(x, 21)) // cpus_read_lock()
		goto gone;
	cpu = x->now.cpu < 0 ? cpu : x->now.cpu;
	cpus_read_lock();
	took(x, NULL);
L11: __maybe_unused;
	if (gate(x, 22)) // TDH.MNG.CREATE
		goto gone;
	cpu = x->now.cpu < 0 ? cpu : x->now.cpu;
L12: __maybe_unused;
	if (!(cpu_active(cpu) == 1))
		disagree("a step of who %d is not enabled", x->who);
L13: __maybe_unused;
	if (!!!({ int i0, r0 = 0; for (i0 = 0; i0 < N_PACKAGES; i0++) if (!({ int i1, r1 = 0; for (i1 = 0; i1 < N_CPUS; i1++) if (package_of[i1] == i0) if ((cpu_online(i1) == 1)) r1 = 1; r1; })) r0 = 1; r0; }))
		goto L17;
L14: __maybe_unused;
L15: __maybe_unused;
	drop(x);
L16: __maybe_unused;
	goto L57;
L17: __maybe_unused;
	if (!!(f7[cpu] == 1))
		goto L22;
L18: __maybe_unused;
	f13 = 1;
L19: __maybe_unused;
L20: __maybe_unused;
	t21 = 7;
L21: __maybe_unused;
	goto L44;
L22: __maybe_unused;
	if (!(f14 == 1))
		goto L26;
L23: __maybe_unused;
L24: __maybe_unused;
	t21 = 8;
L25: __maybe_unused;
	goto L44;
L26: __maybe_unused;
	if (!(f15 == 1))
		goto L30;
L27: __maybe_unused;
L28: __maybe_unused;
	t21 = 9;
L29: __maybe_unused;
	goto L44;
L30: __maybe_unused;
	if (!!(f18 == 25))
		goto L34;
L31: __maybe_unused;
L32: __maybe_unused;
	t21 = 26;
L33: __maybe_unused;
	goto L44;
L34: __maybe_unused;
	if (!!(f19[cpu] == 1))
		goto L40;
L35: __maybe_unused;
	f29 = 1;
L36: __maybe_unused;
	f9 = 28;
L37: __maybe_unused;
L38: __maybe_unused;
	t21 = 29;
L39: __maybe_unused;
	goto L44;
L40: __maybe_unused;
	f8 = 1;
L41: __maybe_unused;
L42: __maybe_unused;
	t21 = 14;
L43: __maybe_unused;
	goto L44;
L44: __maybe_unused;
	if (!(t21 == 7))
		goto L47;
L45: __maybe_unused;
	f9 = 30;
L46: __maybe_unused;
	t21 = 14;
L47: __maybe_unused;
	if (!(!(t21 == 14) && !(t21 == 31)))
		goto L50;
L48: __maybe_unused;
L49: __maybe_unused;
	f30 = 1;
L50: __maybe_unused;
	if (!(!(t21 == 14) && !(t21 == 31)))
		goto L52;
L51: __maybe_unused;
	f31 = 1;
L52: __maybe_unused;
	if (!!(t21 == 14))
		goto L55;
L53: __maybe_unused;
	drop(x);
L54: __maybe_unused;
	goto L57;
L55: __maybe_unused;
	f27 = 32;
L56: __maybe_unused;
	drop(x);
L57: __maybe_unused;
L58:
	finish(x, NOWHERE);
gone:
	drop_all(x);
	kfree(x);
	atomic_dec(&alive);
	return 0;
}
static int actor2(void *argument) // vcpu
{
	struct ctx *x = argument;
	int cpu __maybe_unused = x->cpu < 0 ? 0 : x->cpu, r __maybe_unused;
	x->moves = true;
	int t22 __maybe_unused = 0;
L0: __maybe_unused;
	if (gate(x, 24)) // KVM_RUN
		goto gone;
	cpu = x->now.cpu < 0 ? cpu : x->now.cpu;
L1: __maybe_unused;
	if (!(((((f27 == 32) && !(f1 == 1)) && !(f26 == 1)) && (cpu_active(cpu) == 1)) && !(f32[cpu] == 1)))
		disagree("a step of who %d is not enabled", x->who);
L2: __maybe_unused;
	f32[cpu] = 1;
L3: __maybe_unused;
	if (!!(f7[cpu] == 1))
		goto L8;
L4: __maybe_unused;
	f13 = 1;
L5: __maybe_unused;
L6: __maybe_unused;
	t22 = 7;
L7: __maybe_unused;
	goto L29;
L8: __maybe_unused;
	if (!(f14 == 1))
		goto L12;
L9: __maybe_unused;
L10: __maybe_unused;
	t22 = 8;
L11: __maybe_unused;
	goto L29;
L12: __maybe_unused;
	if (!(f15 == 1))
		goto L16;
L13: __maybe_unused;
L14: __maybe_unused;
	t22 = 9;
L15: __maybe_unused;
	goto L29;
L16: __maybe_unused;
	if (!!(f18 == 25))
		goto L20;
L17: __maybe_unused;
L18: __maybe_unused;
	t22 = 26;
L19: __maybe_unused;
	goto L29;
L20: __maybe_unused;
	if (!!(f19[cpu] == 1))
		goto L26;
L21: __maybe_unused;
	f29 = 1;
L22: __maybe_unused;
	f9 = 28;
L23: __maybe_unused;
L24: __maybe_unused;
	t22 = 29;
L25: __maybe_unused;
	goto L29;
L26: __maybe_unused;
L27: __maybe_unused;
	t22 = 14;
L28: __maybe_unused;
	goto L29;
L29: __maybe_unused;
	if (!(t22 == 7))
		goto L32;
L30: __maybe_unused;
	f9 = 30;
L31: __maybe_unused;
	t22 = 14;
L32: __maybe_unused;
	if (!!(t22 == 14))
		goto L34;
L33: __maybe_unused;
	f31 = 1;
L34: __maybe_unused;
	goto L0;
L35:
	finish(x, NOWHERE);
gone:
	drop_all(x);
	kfree(x);
	atomic_dec(&alive);
	return 0;
}
static int actor3(void *argument) // hotplug
{
	struct ctx *x = argument;
	int cpu __maybe_unused = x->cpu < 0 ? 0 : x->cpu, r __maybe_unused;
	x->moves = false;
L0: __maybe_unused;
	if (gate(x, 25)) // /sys/devices/system/cpu/cpuN/online
		goto gone;
	cpu = x->now.cpu < 0 ? cpu : x->now.cpu;
L1: __maybe_unused;
L2: __maybe_unused;
	if (!!(cpu_online(cpu) == 1))
		goto L4;
L3: __maybe_unused;
	goto L142;
L4: __maybe_unused;
L5: __maybe_unused;
	f33 += -1;
L6: __maybe_unused;
	last_errno[37] = hotplug(x, cpu, 0);
	if (!over && !cpu_online(cpu)) {
		f32[cpu] = 0;
	}
L142: __maybe_unused;
	goto L0;
L143:
	finish(x, NOWHERE);
gone:
	drop_all(x);
	kfree(x);
	atomic_dec(&alive);
	return 0;
}
static void init_state(void)
{
	f0 = 1;
	f1 = 0;
	f2 = 0;
	f3 = 0;
	f4 = 1;
	f5 = 1;
	f6[0] = 0;
	f6[1] = 0;
	f7[0] = 0;
	f7[1] = 0;
	f8 = 0;
	f9 = 33;
	f10 = 0;
	f11[0] = 0;
	f11[1] = 0;
	f12 = 6;
	f13 = 0;
	f14 = 0;
	f15 = 0;
	f16 = 0;
	f17[0] = 0;
	f17[1] = 0;
	f18 = 11;
	f19[0] = 0;
	f19[1] = 0;
	f20 = 0;
	f21 = 34;
	f22[0] = 0;
	f23 = 0;
	f24 = 0;
	f25 = 0;
	f26 = 0;
	f27 = 33;
	f28 = 0;
	f29 = 0;
	f30 = 0;
	f31 = 0;
	f32[0] = 0;
	f32[1] = 0;
	f33 = 1;
	memset(slot, 0, sizeof(slot));
}
static void show(struct seq_file *s)
{
	int i;
	NOTE("\n=f0 %d", f0);
	NOTE("\n=f1 %d", f1);
	NOTE("\n=f2 %d", f2);
	NOTE("\n=f3 %d", f3);
	NOTE("\n=f4 %d", f4);
	NOTE("\n=f5 %d", f5);
	NOTE("\n=f6[0] %d", f6[0]);
	NOTE("\n=f6[1] %d", f6[1]);
	NOTE("\n=f7[0] %d", f7[0]);
	NOTE("\n=f7[1] %d", f7[1]);
	NOTE("\n=f8 %d", f8);
	NOTE("\n=f9 %d", f9);
	NOTE("\n=f10 %d", f10);
	NOTE("\n=f11[0] %d", f11[0]);
	NOTE("\n=f11[1] %d", f11[1]);
	NOTE("\n=f12 %d", f12);
	NOTE("\n=f13 %d", f13);
	NOTE("\n=f14 %d", f14);
	NOTE("\n=f15 %d", f15);
	NOTE("\n=f16 %d", f16);
	NOTE("\n=f17[0] %d", f17[0]);
	NOTE("\n=f17[1] %d", f17[1]);
	NOTE("\n=f18 %d", f18);
	NOTE("\n=f19[0] %d", f19[0]);
	NOTE("\n=f19[1] %d", f19[1]);
	NOTE("\n=f20 %d", f20);
	NOTE("\n=f21 %d", f21);
	NOTE("\n=f22[0] %d", f22[0]);
	NOTE("\n=f23 %d", f23);
	NOTE("\n=f24 %d", f24);
	NOTE("\n=f25 %d", f25);
	NOTE("\n=f26 %d", f26);
	NOTE("\n=f27 %d", f27);
	NOTE("\n=f28 %d", f28);
	NOTE("\n=f29 %d", f29);
	NOTE("\n=f30 %d", f30);
	NOTE("\n=f31 %d", f31);
	NOTE("\n=f32[0] %d", f32[0]);
	NOTE("\n=f32[1] %d", f32[1]);
	NOTE("\n=f33 %d", f33);
	for (i = 0; i < N_CPUS; i++)
		NOTE("\n=online[%d] %d\n=active[%d] %d", i, cpu_online(i), i, cpu_active(i));
	for (i = 0; i < MAX_WHO; i++)
		if (where[i] != NOWHERE)
			NOTE("\n@%d %d", i, where[i]);
	for (i = 0; i < NATIVES; i++)
		if (last_errno[i])
			NOTE("\n!%d %d", i, last_errno[i]);
}
static void begin(int (*actor)(void *), int number, int instance)
{
	struct ctx *x = kzalloc(sizeof(*x), GFP_KERNEL);
	x->who = WHO(number, instance);
	x->cpu = instance == ALONE ? -1 : instance;
	atomic_inc(&alive);
	task[x->who] = kthread_create(actor, x, "litmus/%d", x->who);
	set_cpus_allowed_ptr(task[x->who], cpumask_of(WAITING));
}
static void start(void)
{
	int i;
	begin(actor0, 0, ALONE);
	begin(actor1, 1, ALONE);
	for (i = 0; i < N_CPUS; i++) begin(actor2, 2, i);
	for (i = 0; i < N_CPUS; i++) begin(actor3, 3, i);
	for (i = 0; i < MAX_WHO; i++)
		if (task[i])
			wake_up_process(task[i]);
}
static void clean(void)
{
	int h;
	for (h = 0; h < HOOKS; h++)
		if (slot[h])
			__cpuhp_remove_state(slot[h], false);
}
