# SPDX-License-Identifier: GPL-2.0-only
# KVM is loaded with all CPUs online; a CPU goes and comes back; KVM is unloaded, and loaded again.
load
offline 1
online 1
unload
offline 3
load
online 3
