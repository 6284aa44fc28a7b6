set_cpu() { [ "$(cat /sys/devices/system/cpu/cpu$1/online)" = "$2" ] || echo $2 > /sys/devices/system/cpu/cpu$1/online; };
litmus_load() { spare=$(printf '%x' $((1 << $2))); taskset -p $spare $$ > /dev/null; for t in /proc/[0-9]*; do case $(cat $t/comm 2> /dev/null) in rcu_*) taskset -p $spare ${t#/proc/} > /dev/null 2>&1; esac; done; insmod /$1.ko || return 1; (while read c v < /proc/litmus/hotplug; do echo $v > /sys/devices/system/cpu/cpu$c/online; echo -$? > /proc/litmus/hotplug; done) > /dev/null 2>&1 & litmus_loop=$!; };
litmus_unload() { kill -9 $litmus_loop; sleep 0.1; rmmod $1; };
