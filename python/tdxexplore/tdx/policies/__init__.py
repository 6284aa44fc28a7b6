"""The built-in policies, one file a design, in the order of domain history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.tdx.policies.dyn_hook_if_enabled import DynHookIfEnabled
from tdxexplore.tdx.policies.hook_after_kvm import HookAfterKvm
from tdxexplore.tdx.policies.hook_before_users import HookBeforeUsers
from tdxexplore.tdx.policies.inner_enable import InnerEnable
from tdxexplore.tdx.policies.inner_enable_kvm_hook import InnerEnableKvmHook
from tdxexplore.tdx.policies.kvm_hook_lp_init import KvmHookLpInit
from tdxexplore.tdx.policies.linux_6_16 import Linux616
from tdxexplore.tdx.policies.linux_7_1 import Linux71
from tdxexplore.tdx.policies.linux_7_1_rfc_v1 import Linux71RfcV1
from tdxexplore.tdx.policies.linux_7_2_update import Linux72Update
from tdxexplore.tdx.policies.v7_2022 import V72022
from tdxexplore.tdx.policies.v17 import V17
from tdxexplore.tdx.policies.v19 import V19

if TYPE_CHECKING:
    from tdxexplore.tdx.policy import Policy

# Other names of a design.
ALIASES = {"linux-7.3": Linux72Update.name}

BUILT_IN: dict[str, type[Policy]] = {
    policy.name: policy
    for policy in (
        V72022,
        V17,
        V19,
        InnerEnable,
        InnerEnableKvmHook,
        HookAfterKvm,
        HookBeforeUsers,
        DynHookIfEnabled,
        KvmHookLpInit,
        Linux616,
        Linux71RfcV1,
        Linux71,
        Linux72Update,
    )
}
