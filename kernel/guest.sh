# SPDX-License-Identifier: GPL-2.0-only
# Functions of the guest's shell, for recordings. A script of a recording is a list of their calls.
C=/sys/devices/system/cpu
T=/sys/kernel/tracing

# The modules that kvm_amd needs, and with "all" kvm_amd too, in order.
load_modules() {
	for m in $(cat /mods/order); do
		grep -q "^$(echo $m | tr - _) " /proc/modules || insmod /mods/$m.ko || return
	done
}

# Every action says in the trace when it begins, and when it ends with which exit code.
act() {
	echo "begin $*" > $T/trace_marker
	shift_words="$*"
	"do_$@" > /dev/null 2>&1
	r=$?
	echo "end $r $shift_words" > $T/trace_marker
	return $r
}
do_load() { insmod /mods/kvm-amd.ko; }
do_unload() { rmmod kvm_amd; }
do_offline() { echo 0 > $C/cpu$1/online; }
do_online() { echo 1 > $C/cpu$1/online; }

load() { act load; }
unload() { act unload; }
offline() { act offline $1; }
online() { act online $1; }

# fail CPU STATE: the next callback of that state on that CPU fails, once. STATE is a name of hotplug/states.
fail() {
	s=$(sed -n "s|^ *\([0-9]*\): $2\$|\1|p" $C/hotplug/states)
	echo $s > $C/cpu$1/hotplug/fail
}

# Which CPUs are online; for when nothing else runs.
mask() { echo "mask $(cat $C/online)" > $T/trace_marker; }

# together "A" "B": two actions at the same time, B begins after $3 seconds.
together() {
	( $1 ) &
	p=$!
	[ -n "$3" ] && usleep $3
	( $2 ) &
	wait $p $!
}

# -- tracing ---------------------------------------------------------------------------------------------------------

# Defines a probe if its function exists: the x86_virt_ functions came with 7.1.
probe() {
	f=$2
	shift 2
	grep -q "^${f#*:}\$" /tmp/functions || return 0
	echo "$kind:r/$name $f $*" >> $T/kprobe_events
}
enter() { kind=p; name=$1; probe "$@"; }
leave() { kind=r; name=$1; probe "$@"; }

# Everything but kvm_amd is loaded first, so that the functions of kvm exist. STATES are names of hotplug/states.
start_trace() {
	for m in $(grep -v kvm-amd /mods/order); do insmod /mods/$m.ko || return; done
	echo 0 > $T/tracing_on
	echo mono > $T/trace_clock
	echo 8192 > $T/buffer_size_kb
	grep -E ' [tTdDbB] (__|_)?(cpu|percpu|rcu_sync|x86_virt|kvm_o)' /proc/kallsyms > /tmp/symbols
	cut -d' ' -f3 /tmp/symbols | cut -f1 > /tmp/functions
	lock=0x$(sed -n 's/ . cpu_hotplug_lock$//p' /tmp/symbols)
	leave write_lock percpu_down_write 'sem=$arg1:x64'
	enter write_unlock percpu_up_write 'sem=$arg1:x64'
	enter rwsem_wait percpu_rwsem_wait 'sem=$arg1:x64'
	leave rcu_sync rcu_sync_enter
	enter up _cpu_up 'cpu=$arg1:u32'
	leave up_end _cpu_up 'cpu=$arg1:u32' 'ret=$retval:s32'
	enter down _cpu_down 'cpu=$arg1:u32'
	leave down_end _cpu_down 'cpu=$arg1:u32' 'ret=$retval:s32'
	enter setup __cpuhp_setup_state 'state=$arg1:u32'
	leave setup_end __cpuhp_setup_state 'state=$arg1:u32' 'ret=$retval:s32'
	enter remove __cpuhp_remove_state 'state=$arg1:u32'
	leave remove_end __cpuhp_remove_state 'state=$arg1:u32'
	for w in setup remove; do
		enter ${w}_locked __cpuhp_${w}_state_cpuslocked 'state=$arg1:u32'
		leave ${w}_unlocks __cpuhp_${w}_state_cpuslocked 'state=$arg1:u32'
	done
	leave failed cpuhp_invoke_callback 'cpu=$arg1:u32' 'state=$arg2:u32' 'up=$arg3:u8' 'ret=$retval:s32'
	enter get_ref x86_virt_get_ref
	enter put_ref x86_virt_put_ref
	enter kvm_online kvm:kvm_online_cpu 'cpu=$arg1:u32'
	enter kvm_offline kvm:kvm_offline_cpu 'cpu=$arg1:u32'
	for e in write_lock write_unlock rwsem_wait; do echo "sem == $lock" > $T/events/r/$e/filter; done
	echo 'ret != 0' > $T/events/r/failed/filter
	echo 'prev_state == 2' > $T/events/sched/sched_switch/filter
	for e in r cpuhp/cpuhp_enter cpuhp/cpuhp_exit sched/sched_switch; do echo 1 > $T/events/$e/enable; done
	echo > $T/trace
	echo 1 > $T/tracing_on
}
