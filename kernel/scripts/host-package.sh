# SPDX-License-Identifier: GPL-2.0-only
# KVM is loaded while a package has no CPU online.
offline 3
offline 2
load
load
online 2
