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
