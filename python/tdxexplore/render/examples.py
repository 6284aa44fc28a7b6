"""Which outcomes and invariants there are, and for each a question that shows it. What they mean is in `outcomes.MEANINGS`."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from tdxexplore.tdx.build import build
from tdxexplore.tdx.fields import UNBOUNDED
from tdxexplore.tdx.policies import BUILT_IN
from tdxexplore.tdx.scenarios import SCENARIOS

if TYPE_CHECKING:
    from tdxexplore.model import Model
    from tdxexplore.model.properties import Property

# Arguments of a `tdxexplore check` that shows it. No built-in design diverges, and I3 and I9 fail in none.
EXAMPLES = {
    "corrupt": "v19 --module subset-nocheck --cpus 2 --scenario late-online",
    "seamcall-oops": "inner-enable --cpus 2 --scenario fault-resume",
    "vmxoff-bug": "v17 --cpus 2 --scenario fault-vmxon --set vmx_off=every-cpu",
    "cpuhp-bug": "inner-enable --cpus 3 --packages 2 --scenario fault-td-unload",
    "deadlock": "dyn-hook-if-enabled --cpus 2 --scenario offline-mid-enable",
    "key-id-lost": "linux-6.16 --cpus 2 --packages 2 --scenario fault-td",
    "tds-lost": "linux-7.2-update --cpus 2 --scenario update-offline-lp",
    "td-error": "v19 --module subset --cpus 2 --scenario late-online",
    "td-mismeasured": "linux-7.2-update --cpus 2 --scenario update-td",
    "user-error": "linux-6.16 --module subset --cpus 2 --scenario second-tdx-user",
    "vm-refused": "v19 --cpus 2 --scenario fault-vmxon",
    "online-refused": "linux-7.2-update --cpus 2 --scenario update-offline-lp",
    "suspend-aborted": "linux-6.16 --cpus 2 --packages 2 --scenario fault-td-suspend",
    "sticky-error": "linux-6.16 --cpus 2 --scenario nosmt",
    "lp-missing": "linux-6.16 --cpus 2 --scenario offline-before-load",
    "off-until-reboot": "v7-2022 --cpus 2 --scenario kexec",
    "kvm-not-loaded": "linux-6.16 --cpus 2 --scenario fault-seamcall",
    "warned": "linux-6.16 --cpus 2 --scenario fault-resume",
    "latent-lp": "hook-after-kvm --module subset --cpus 2 --scenario no-kvm",
    "tdx-up": "linux-7.1 --cpus 2 --scenario all-online",
    "clean-refusal": "v7-2022 --cpus 2 --scenario late-online",
    "rebooted": "linux-7.1 --cpus 2 --scenario reboot",
    "endless": "linux-6.16 --cpus 2 --scenario late-online --budget kvm_load=unbounded --budget kvm_unload=unbounded",
    "I1": "v19 --module subset --cpus 2 --scenario late-online",
    "I2": "linux-6.16 --cpus 2 --scenario second-user --budget kvm_unload=1",
    "I4": "linux-6.16 --cpus 2 --packages 2 --scenario td-life --set offline_veto=off",
    "I5": "v17 --module subset --cpus 2 --scenario online-mid-enable",
    "I7": "linux-7.1-rfc-v1 --module subset --cpus 2 --scenario online-mid-enable",
    "I10": "linux-6.16 --cpus 2 --scenario reboot --set freeze_hotplug=no",
}


@cache
def models() -> tuple[Model, ...]:
    """Models that together declare everything that is asked of the states of any."""
    policy = BUILT_IN["linux-7.2-update"]
    asked: tuple[tuple[str, dict[str, int]], ...] = (
        ("update", {}),
        ("update", {"kvm_load": UNBOUNDED}),
        ("update-suspend", {}),
        ("reboot", {}),
        ("td-life-caches", {}),
    )
    return tuple(build(policy(), "strict", SCENARIOS[name], budgets) for name, budgets in asked)


def declared() -> list[Property]:
    """The outcomes and invariants that models declare, without end and with one, in their order."""
    made = models()
    found = [p for model in made for p in model.outcomes] + [p for model in made for p in model.invariants]
    return list({p.name: p for p in found}.values())
