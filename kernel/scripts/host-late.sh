# SPDX-License-Identifier: GPL-2.0-only
# KVM is loaded while a CPU is offline, which comes later; a failure stays until reboot.
offline 3
load
online 3
load
load
