mask
load
offline 2
offline 1
mask
online 2
offline 3
unload
online 3
offline 2
mask
load
online 1
online 2
mask
unload
offline 3
online 3
load
offline 3
unload
online 3
mask
