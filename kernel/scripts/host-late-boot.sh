# SPDX-License-Identifier: GPL-2.0-only
# A CPU is offline when TDX is enabled at boot, and comes later.
offline 3
boot
load
online 3
unload
