# SPDX-License-Identifier: GPL-2.0-only
# The module is updated, twice, with all CPUs online: the TD runs on.
boot
load
td
run 0
update
run 1
update
run 3
offline 3
online 3
