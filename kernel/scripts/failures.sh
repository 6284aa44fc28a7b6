# A veto from below KVM's callback, by it, and from above it.
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
# A CPU is refused at each callback on its way up.
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
# Registration fails on CPU 2; insmod tries once more by itself.
fail 2 kvm/cpu:online
unload
online 2
mask
load
mask
offline 1
online 1
# Registration fails on CPU 3 and then on CPU 2, so that KVM is not loaded.
offline 2
offline 3
fail 2 kvm/cpu:online
fail 3 kvm/cpu:online
unload
online 2
online 3
load
mask
offline 1
online 1
offline 3
mask
load
online 3
offline 2
unload
online 2
mask
