load
fail 2 cpu:teardown
offline 2
mask
fail 2 kvm/cpu:online
offline 2
mask
fail 2 workqueue:online
offline 2
fail 2 sched:active
offline 2
mask
offline 2
fail 2 kvm/cpu:online
online 2
mask
fail 2 workqueue:online
online 2
mask
fail 2 sched:active
online 2
mask
fail 2 kvm/cpu:online
unload
online 2
mask
load
mask
offline 1
online 1
offline 3
load
offline 1
online 1
offline 2
fail 3 kvm/cpu:online
unload
online 3
load
offline 1
online 1
online 2
load
mask
offline 1
online 1
unload
mask
