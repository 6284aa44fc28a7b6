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
static int f6[N_CPUS + 1]; // vmx_on
static int f7[N_CPUS + 1]; // virtualization_enabled
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
	if (!(f6[cpu] == 1))
		goto L20;
L17: __maybe_unused;
L18: __maybe_unused;
	t0 = 0;
L19: __maybe_unused;
	goto L24;
L20: __maybe_unused;
	f6[cpu] = 1;
L21: __maybe_unused;
L22: __maybe_unused;
	t0 = 1;
L23: __maybe_unused;
	goto L24;
L24: __maybe_unused;
	if (!!(t0 == 1))
		goto L27;
L25: __maybe_unused;
	t1 = t0;
L26: __maybe_unused;
	goto L30;
L27: __maybe_unused;
	f7[cpu] = 1;
L28: __maybe_unused;
	t1 = 1;
L29: __maybe_unused;
	goto L30;
L30: __maybe_unused;
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
L45: __maybe_unused;
	if (!((f8 == 1) && !({ int i0, r0 = 0; for (i0 = 0; i0 < N_CPUS; i0++) if (package_of[i0] == package_of[cpu] && i0 != cpu) if ((cpu_online(i0) == 1)) r0 = 1; r0; })))
		goto L49;
L46: __maybe_unused;
L47: __maybe_unused;
	t2 = 0;
L48: __maybe_unused;
	goto L51;
L49: __maybe_unused;
	t2 = 1;
L50: __maybe_unused;
	goto L51;
L51: __maybe_unused;
	if (!!(t2 == 1))
		goto L54;
L52: __maybe_unused;
	t3 = 0;
L53: __maybe_unused;
	goto L64;
L54: __maybe_unused;
	if (!(f7[cpu] == 1))
		goto L62;
L55: __maybe_unused;
	if (!!(f6[cpu] == 1))
		goto L59;
L56: __maybe_unused;
L57: __maybe_unused;
	f9 = 5;
L58: __maybe_unused;
	goto L61;
L59: __maybe_unused;
	f6[cpu] = 0;
L60: __maybe_unused;
L61: __maybe_unused;
	f7[cpu] = 0;
L62: __maybe_unused;
	t3 = 1;
L63: __maybe_unused;
	goto L64;
L64: __maybe_unused;
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
L89: __maybe_unused;
	if (!(f11[cpu] == 1))
		goto L92;
L90: __maybe_unused;
	t5 = 1;
L91: __maybe_unused;
	goto L169;
L92: __maybe_unused;
	if (!(f12 == 6))
		goto L125;
L93: __maybe_unused;
	if (!!(f6[cpu] == 1))
		goto L98;
L94: __maybe_unused;
	f13 = 1;
L95: __maybe_unused;
L96: __maybe_unused;
	t6 = 7;
L97: __maybe_unused;
	goto L118;
L98: __maybe_unused;
	if (!(f14 == 1))
		goto L102;
L99: __maybe_unused;
L100: __maybe_unused;
	t6 = 8;
L101: __maybe_unused;
	goto L118;
L102: __maybe_unused;
	if (!(f15 == 1))
		goto L106;
L103: __maybe_unused;
L104: __maybe_unused;
	t6 = 9;
L105: __maybe_unused;
	goto L118;
L106: __maybe_unused;
	if (!((f16 == 1) || ({ int i0, r0 = 0; for (i0 = 0; i0 < N_CPUS; i0++) if ((f17[i0] == 1)) r0 = 1; r0; })))
		goto L110;
L107: __maybe_unused;
L108: __maybe_unused;
	t6 = 10;
L109: __maybe_unused;
	goto L118;
L110: __maybe_unused;
	if (!!(f18 == 11))
		goto L114;
L111: __maybe_unused;
L112: __maybe_unused;
	t6 = 12;
L113: __maybe_unused;
	goto L118;
L114: __maybe_unused;
	f18 = 13;
L115: __maybe_unused;
L116: __maybe_unused;
	t6 = 14;
L117: __maybe_unused;
	goto L118;
L118: __maybe_unused;
	if (!(t6 == 14))
		goto L121;
L119: __maybe_unused;
	f12 = 1;
L120: __maybe_unused;
	goto L125;
L121: __maybe_unused;
	if (!(t6 == 7))
		goto L124;
L122: __maybe_unused;
	f12 = 3;
L123: __maybe_unused;
	goto L125;
L124: __maybe_unused;
	f12 = 4;
L125: __maybe_unused;
	if (!(f12 == 3))
		goto L128;
L126: __maybe_unused;
	t5 = 3;
L127: __maybe_unused;
	goto L169;
L128: __maybe_unused;
	if (!(f12 == 4))
		goto L131;
L129: __maybe_unused;
	t5 = 4;
L130: __maybe_unused;
	goto L169;
L131: __maybe_unused;
	if (!!(f6[cpu] == 1))
		goto L136;
L132: __maybe_unused;
	f13 = 1;
L133: __maybe_unused;
L134: __maybe_unused;
	t7 = 7;
L135: __maybe_unused;
	goto L160;
L136: __maybe_unused;
	if (!(f14 == 1))
		goto L140;
L137: __maybe_unused;
L138: __maybe_unused;
	t7 = 8;
L139: __maybe_unused;
	goto L160;
L140: __maybe_unused;
	if (!(f15 == 1))
		goto L144;
L141: __maybe_unused;
L142: __maybe_unused;
	t7 = 9;
L143: __maybe_unused;
	goto L160;
L144: __maybe_unused;
	if (!(f16 == 1))
		goto L148;
L145: __maybe_unused;
L146: __maybe_unused;
	t7 = 10;
L147: __maybe_unused;
	goto L160;
L148: __maybe_unused;
	if (!!(f18 == 13))
		goto L152;
L149: __maybe_unused;
L150: __maybe_unused;
	t7 = 15;
L151: __maybe_unused;
	goto L160;
L152: __maybe_unused;
	if (!(f19[cpu] == 1))
		goto L156;
L153: __maybe_unused;
L154: __maybe_unused;
	t7 = 16;
L155: __maybe_unused;
	goto L160;
L156: __maybe_unused;
	f19[cpu] = 1;
L157: __maybe_unused;
L158: __maybe_unused;
	t7 = 14;
L159: __maybe_unused;
	goto L160;
L160: __maybe_unused;
	if (!(t7 == 14))
		goto L163;
L161: __maybe_unused;
	t5 = 1;
L162: __maybe_unused;
	goto L167;
L163: __maybe_unused;
	if (!(t7 == 7))
		goto L166;
L164: __maybe_unused;
	t5 = 3;
L165: __maybe_unused;
	goto L167;
L166: __maybe_unused;
	t5 = 4;
L167: __maybe_unused;
	if (!(t5 == 1))
		goto L169;
L168: __maybe_unused;
	f11[cpu] = 1;
L169: __maybe_unused;
	if (!!(t5 == 1))
		goto L171;
L170: __maybe_unused;
	f20 = 1;
L171: __maybe_unused;
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
L337: __maybe_unused;
	if (!!(f5 == 1))
		goto L340;
L338: __maybe_unused;
	t14 = 1;
L339: __maybe_unused;
	goto L422;
L340: __maybe_unused;
	if (!(f11[cpu] == 1))
		goto L343;
L341: __maybe_unused;
	t15 = 1;
L342: __maybe_unused;
	goto L420;
L343: __maybe_unused;
	if (!(f12 == 6))
		goto L376;
L344: __maybe_unused;
	if (!!(f6[cpu] == 1))
		goto L349;
L345: __maybe_unused;
	f13 = 1;
L346: __maybe_unused;
L347: __maybe_unused;
	t16 = 7;
L348: __maybe_unused;
	goto L369;
L349: __maybe_unused;
	if (!(f14 == 1))
		goto L353;
L350: __maybe_unused;
L351: __maybe_unused;
	t16 = 8;
L352: __maybe_unused;
	goto L369;
L353: __maybe_unused;
	if (!(f15 == 1))
		goto L357;
L354: __maybe_unused;
L355: __maybe_unused;
	t16 = 9;
L356: __maybe_unused;
	goto L369;
L357: __maybe_unused;
	if (!((f16 == 1) || ({ int i0, r0 = 0; for (i0 = 0; i0 < N_CPUS; i0++) if ((f17[i0] == 1)) r0 = 1; r0; })))
		goto L361;
L358: __maybe_unused;
L359: __maybe_unused;
	t16 = 10;
L360: __maybe_unused;
	goto L369;
L361: __maybe_unused;
	if (!!(f18 == 11))
		goto L365;
L362: __maybe_unused;
L363: __maybe_unused;
	t16 = 12;
L364: __maybe_unused;
	goto L369;
L365: __maybe_unused;
	f18 = 13;
L366: __maybe_unused;
L367: __maybe_unused;
	t16 = 14;
L368: __maybe_unused;
	goto L369;
L369: __maybe_unused;
	if (!(t16 == 14))
		goto L372;
L370: __maybe_unused;
	f12 = 1;
L371: __maybe_unused;
	goto L376;
L372: __maybe_unused;
	if (!(t16 == 7))
		goto L375;
L373: __maybe_unused;
	f12 = 3;
L374: __maybe_unused;
	goto L376;
L375: __maybe_unused;
	f12 = 4;
L376: __maybe_unused;
	if (!(f12 == 3))
		goto L379;
L377: __maybe_unused;
	t15 = 3;
L378: __maybe_unused;
	goto L420;
L379: __maybe_unused;
	if (!(f12 == 4))
		goto L382;
L380: __maybe_unused;
	t15 = 4;
L381: __maybe_unused;
	goto L420;
L382: __maybe_unused;
	if (!!(f6[cpu] == 1))
		goto L387;
L383: __maybe_unused;
	f13 = 1;
L384: __maybe_unused;
L385: __maybe_unused;
	t17 = 7;
L386: __maybe_unused;
	goto L411;
L387: __maybe_unused;
	if (!(f14 == 1))
		goto L391;
L388: __maybe_unused;
L389: __maybe_unused;
	t17 = 8;
L390: __maybe_unused;
	goto L411;
L391: __maybe_unused;
	if (!(f15 == 1))
		goto L395;
L392: __maybe_unused;
L393: __maybe_unused;
	t17 = 9;
L394: __maybe_unused;
	goto L411;
L395: __maybe_unused;
	if (!(f16 == 1))
		goto L399;
L396: __maybe_unused;
L397: __maybe_unused;
	t17 = 10;
L398: __maybe_unused;
	goto L411;
L399: __maybe_unused;
	if (!!(f18 == 13))
		goto L403;
L400: __maybe_unused;
L401: __maybe_unused;
	t17 = 15;
L402: __maybe_unused;
	goto L411;
L403: __maybe_unused;
	if (!(f19[cpu] == 1))
		goto L407;
L404: __maybe_unused;
L405: __maybe_unused;
	t17 = 16;
L406: __maybe_unused;
	goto L411;
L407: __maybe_unused;
	f19[cpu] = 1;
L408: __maybe_unused;
L409: __maybe_unused;
	t17 = 14;
L410: __maybe_unused;
	goto L411;
L411: __maybe_unused;
	if (!(t17 == 14))
		goto L414;
L412: __maybe_unused;
	t15 = 1;
L413: __maybe_unused;
	goto L418;
L414: __maybe_unused;
	if (!(t17 == 7))
		goto L417;
L415: __maybe_unused;
	t15 = 3;
L416: __maybe_unused;
	goto L418;
L417: __maybe_unused;
	t15 = 4;
L418: __maybe_unused;
	if (!(t15 == 1))
		goto L420;
L419: __maybe_unused;
	f11[cpu] = 1;
L420: __maybe_unused;
	t14 = t15;
L421: __maybe_unused;
	goto L422;
L422: __maybe_unused;
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
L437: __maybe_unused;
	t18 = 1;
L438: __maybe_unused;
	goto L439;
L439: __maybe_unused;
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
	if (!(f7[cpu] == 1))
		goto L39;
L32: __maybe_unused;
	if (!!(f6[cpu] == 1))
		goto L36;
L33: __maybe_unused;
L34: __maybe_unused;
	f9 = 5;
L35: __maybe_unused;
	goto L38;
L36: __maybe_unused;
	f6[cpu] = 0;
L37: __maybe_unused;
L38: __maybe_unused;
	f7[cpu] = 0;
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
	if (!!(f6[cpu] == 1))
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
	if (!!(f6[cpu] == 1))
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
L80: __maybe_unused;
	if (!(t4 == 1))
		goto L459;
L81: __maybe_unused;
	if (gate(x, 7)) // cpus_read_lock()
		goto gone;
	cpu = x->now.cpu < 0 ? cpu : x->now.cpu;
	cpus_read_lock();
	took(x, NULL);
L84: __maybe_unused;
	{ int i; struct cpumask mask; cpumask_clear(&mask);
	for (i = 0; i < N_CPUS; i++) if ((cpu_online(i) == 1)) cpumask_set_cpu(i, &mask);
	if (sends(x, &mask, 0)) on_each_cpu_mask(&mask, pass13, x, true);
	if (over) goto gone; }
L174: __maybe_unused;
	if (!(f20 == 1))
		goto L179;
L175: __maybe_unused;
	f20 = 0;
L176: __maybe_unused;
	f5 = 0;
L177: __maybe_unused;
	drop(x);
L178: __maybe_unused;
	goto L458;
L179: __maybe_unused;
	if (gate(x, 10)) // mutex_lock(&tdx_module_lock)
		goto gone;
	cpu = x->now.cpu < 0 ? cpu : x->now.cpu;
	mutex_lock(&m1);
	took(x, &m1);
L182: __maybe_unused;
	if (!(f21 == 17))
		goto L185;
L183: __maybe_unused;
	t8 = 1;
L184: __maybe_unused;
	goto L318;
L185: __maybe_unused;
	if (!(f21 == 18))
		goto L189;
L186: __maybe_unused;
L187: __maybe_unused;
	t8 = 19;
L188: __maybe_unused;
	goto L318;
L189: __maybe_unused;
	if (gate(x, 11)) // config_tdx_module()
		goto gone;
	cpu = x->now.cpu < 0 ? cpu : x->now.cpu;
L190: __maybe_unused;
	if (!(cpu_active(cpu) == 1))
		disagree("a step of who %d is not enabled", x->who);
L191: __maybe_unused;
	if (!!(f6[cpu] == 1))
		goto L196;
L192: __maybe_unused;
	f13 = 1;
L193: __maybe_unused;
L194: __maybe_unused;
	t9 = 7;
L195: __maybe_unused;
	goto L211;
L196: __maybe_unused;
	if (!(f14 == 1))
		goto L200;
L197: __maybe_unused;
L198: __maybe_unused;
	t9 = 8;
L199: __maybe_unused;
	goto L211;
L200: __maybe_unused;
	if (!(f15 == 1))
		goto L204;
L201: __maybe_unused;
L202: __maybe_unused;
	t9 = 9;
L203: __maybe_unused;
	goto L211;
L204: __maybe_unused;
	if (!!(f19[cpu] == 1))
		goto L208;
L205: __maybe_unused;
L206: __maybe_unused;
	t9 = 20;
L207: __maybe_unused;
	goto L211;
L208: __maybe_unused;
L209: __maybe_unused;
	t9 = 14;
L210: __maybe_unused;
	goto L211;
L211: __maybe_unused;
	if (!!(t9 == 14))
		goto L214;
L212: __maybe_unused;
	t10 = 4;
L213: __maybe_unused;
	goto L313;
L214: __maybe_unused;
	if (!!(f6[cpu] == 1))
		goto L219;
L215: __maybe_unused;
	f13 = 1;
L216: __maybe_unused;
L217: __maybe_unused;
	t11 = 7;
L218: __maybe_unused;
	goto L240;
L219: __maybe_unused;
	if (!(f14 == 1))
		goto L223;
L220: __maybe_unused;
L221: __maybe_unused;
	t11 = 8;
L222: __maybe_unused;
	goto L240;
L223: __maybe_unused;
	if (!(f15 == 1))
		goto L227;
L224: __maybe_unused;
L225: __maybe_unused;
	t11 = 9;
L226: __maybe_unused;
	goto L240;
L227: __maybe_unused;
	if (!((f16 == 1) || ({ int i0, r0 = 0; for (i0 = 0; i0 < N_CPUS; i0++) if ((f17[i0] == 1)) r0 = 1; r0; })))
		goto L231;
L228: __maybe_unused;
L229: __maybe_unused;
	t11 = 10;
L230: __maybe_unused;
	goto L240;
L231: __maybe_unused;
	if (!(!(f18 == 13) || !!({ int i0, r0 = 0; for (i0 = 0; i0 < N_CPUS; i0++) if (!(f19[i0] == 1)) r0 = 1; r0; })))
		goto L235;
L232: __maybe_unused;
L233: __maybe_unused;
	t11 = 21;
L234: __maybe_unused;
	goto L240;
L235: __maybe_unused;
	f18 = 22;
L236: __maybe_unused;
	{ int i; for (i = 0; i < N_PACKAGES; i++) if (1) { f22[i] = 0; } }
L237: __maybe_unused;
L238: __maybe_unused;
	t11 = 14;
L239: __maybe_unused;
	goto L240;
L240: __maybe_unused;
	if (!!(t11 == 14))
		goto L243;
L241: __maybe_unused;
	t10 = 4;
L242: __maybe_unused;
	goto L313;
L243: __maybe_unused;
	if (gate(x, 12)) // config_global_keyid()
		goto gone;
	cpu = x->now.cpu < 0 ? cpu : x->now.cpu;
L244: __maybe_unused;
	if (!((cpu_online(cpu) == 1) && !(f22[package_of[cpu]] == 1)))
		disagree("a step of who %d is not enabled", x->who);
L245: __maybe_unused;
	if (!!(f6[cpu] == 1))
		goto L250;
L246: __maybe_unused;
	f13 = 1;
L247: __maybe_unused;
L248: __maybe_unused;
	t12 = 7;
L249: __maybe_unused;
	goto L276;
L250: __maybe_unused;
	if (!(f14 == 1))
		goto L254;
L251: __maybe_unused;
L252: __maybe_unused;
	t12 = 8;
L253: __maybe_unused;
	goto L276;
L254: __maybe_unused;
	if (!(f15 == 1))
		goto L258;
L255: __maybe_unused;
L256: __maybe_unused;
	t12 = 9;
L257: __maybe_unused;
	goto L276;
L258: __maybe_unused;
	if (!((f16 == 1) || ({ int i0, r0 = 0; for (i0 = 0; i0 < N_CPUS; i0++) if ((f17[i0] == 1)) r0 = 1; r0; })))
		goto L262;
L259: __maybe_unused;
L260: __maybe_unused;
	t12 = 10;
L261: __maybe_unused;
	goto L276;
L262: __maybe_unused;
	if (!!(f18 == 22))
		goto L266;
L263: __maybe_unused;
L264: __maybe_unused;
	t12 = 23;
L265: __maybe_unused;
	goto L276;
L266: __maybe_unused;
	if (!(f22[package_of[cpu]] == 1))
		goto L270;
L267: __maybe_unused;
L268: __maybe_unused;
	t12 = 24;
L269: __maybe_unused;
	goto L276;
L270: __maybe_unused;
	f22[package_of[cpu]] = 1;
L271: __maybe_unused;
	if (!!({ int i0, r0 = 0; for (i0 = 0; i0 < N_PACKAGES; i0++) if (!(f22[i0] == 1)) r0 = 1; r0; }))
		goto L273;
L272: __maybe_unused;
	f18 = 25;
L273: __maybe_unused;
L274: __maybe_unused;
	t12 = 14;
L275: __maybe_unused;
	goto L276;
L276: __maybe_unused;
	if (!!(t12 == 14))
		goto L279;
L277: __maybe_unused;
	t10 = 4;
L278: __maybe_unused;
	goto L313;
L279: __maybe_unused;
	if (!!({ int i0, r0 = 0; for (i0 = 0; i0 < N_PACKAGES; i0++) if ((!(f22[i0] == 1) && ({ int i1, r1 = 0; for (i1 = 0; i1 < N_CPUS; i1++) if (package_of[i1] == i0) if ((cpu_online(i1) == 1)) r1 = 1; r1; }))) r0 = 1; r0; }))
		goto L281;
L280: __maybe_unused;
	goto L282;
L281: __maybe_unused;
	goto L243;
L282: __maybe_unused;
	if (gate(x, 13)) // init_tdmrs()
		goto gone;
	cpu = x->now.cpu < 0 ? cpu : x->now.cpu;
L283: __maybe_unused;
	if (!(cpu_active(cpu) == 1))
		disagree("a step of who %d is not enabled", x->who);
L284: __maybe_unused;
	if (!!(f6[cpu] == 1))
		goto L289;
L285: __maybe_unused;
	f13 = 1;
L286: __maybe_unused;
L287: __maybe_unused;
	t13 = 7;
L288: __maybe_unused;
	goto L304;
L289: __maybe_unused;
	if (!(f14 == 1))
		goto L293;
L290: __maybe_unused;
L291: __maybe_unused;
	t13 = 8;
L292: __maybe_unused;
	goto L304;
L293: __maybe_unused;
	if (!(f15 == 1))
		goto L297;
L294: __maybe_unused;
L295: __maybe_unused;
	t13 = 9;
L296: __maybe_unused;
	goto L304;
L297: __maybe_unused;
	if (!!(f18 == 25))
		goto L301;
L298: __maybe_unused;
L299: __maybe_unused;
	t13 = 26;
L300: __maybe_unused;
	goto L304;
L301: __maybe_unused;
L302: __maybe_unused;
	t13 = 14;
L303: __maybe_unused;
	goto L304;
L304: __maybe_unused;
	if (!!(t13 == 14))
		goto L307;
L305: __maybe_unused;
	t10 = 4;
L306: __maybe_unused;
	goto L313;
L307: __maybe_unused;
	if (!(f23 == 0))
		goto L309;
L308: __maybe_unused;
	goto L311;
L309: __maybe_unused;
	f23 += -1;
L310: __maybe_unused;
	goto L282;
L311: __maybe_unused;
	t10 = 1;
L312: __maybe_unused;
	goto L313;
L313: __maybe_unused;
	if (!(t10 == 1))
		goto L316;
L314: __maybe_unused;
	f21 = 17;
L315: __maybe_unused;
	goto L317;
L316: __maybe_unused;
	f21 = 18;
L317: __maybe_unused;
	t8 = t10;
L318: __maybe_unused;
	drop(x);
L319: __maybe_unused;
	if (!!(t8 == 1))
		goto L323;
L320: __maybe_unused;
	f5 = 0;
L321: __maybe_unused;
	drop(x);
L322: __maybe_unused;
	goto L458;
L323: __maybe_unused;
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
L455: __maybe_unused;
	if (!!(t19 == 1))
		goto L457;
L456: __maybe_unused;
	f5 = 0;
L457: __maybe_unused;
	drop(x);
L458: __maybe_unused;
	f3 = 1;
L459: __maybe_unused;
	f25 = 1;
L460: __maybe_unused;
	goto L0;
L461:
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
	goto L56;
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
	goto L56;
L17: __maybe_unused;
	if (!!(f6[cpu] == 1))
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
		goto L46;
L45: __maybe_unused;
	f9 = 30;
L46: __maybe_unused;
	if (!(!(t21 == 14) && !(t21 == 31)))
		goto L49;
L47: __maybe_unused;
L48: __maybe_unused;
	f30 = 1;
L49: __maybe_unused;
	if (!(!(t21 == 14) && !(t21 == 31)))
		goto L51;
L50: __maybe_unused;
	f31 = 1;
L51: __maybe_unused;
	if (!!(t21 == 14))
		goto L54;
L52: __maybe_unused;
	drop(x);
L53: __maybe_unused;
	goto L56;
L54: __maybe_unused;
	f27 = 32;
L55: __maybe_unused;
	drop(x);
L56: __maybe_unused;
L57:
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
	if (!!(f6[cpu] == 1))
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
		goto L31;
L30: __maybe_unused;
	f9 = 30;
L31: __maybe_unused;
	if (!!(t22 == 14))
		goto L33;
L32: __maybe_unused;
	f31 = 1;
L33: __maybe_unused;
	goto L0;
L34:
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
