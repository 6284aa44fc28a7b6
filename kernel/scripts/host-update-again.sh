# SPDX-License-Identifier: GPL-2.0-only
# The module is updated while a CPU is offline, and again after that has failed.
boot
load
td
offline 3
update
update
online 3
