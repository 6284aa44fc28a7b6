set_cpu() { [ "$(cat /sys/devices/system/cpu/cpu$1/online)" = "$2" ] || echo $2 > /sys/devices/system/cpu/cpu$1/online; };
litmus_load() { taskset -p $(printf '%x' $((1 << $2))) $$ > /dev/null; insmod /$1.ko || return 1; (while read c v < /proc/litmus/hotplug; do echo $v > /sys/devices/system/cpu/cpu$c/online; echo -$? > /proc/litmus/hotplug; done) > /dev/null 2>&1 & litmus_loop=$!; };
litmus_unload() { kill -9 $litmus_loop; sleep 0.1; rmmod $1; };
