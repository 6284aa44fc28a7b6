# SPDX-License-Identifier: GPL-2.0-only
# TDX is enabled at boot; with a TD, the last CPU of a package cannot go.
boot
load
td
run 2
offline 3
offline 2
run 1
online 3
unload
offline 3
offline 2
load
online 2
online 3
