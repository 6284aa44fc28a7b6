# SPDX-License-Identifier: GPL-2.0-only
# The module is updated while a CPU is offline: the TD is lost.
boot
load
td
run 0
offline 3
update
run 1
online 3
