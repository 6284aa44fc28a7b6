"""The normal form of states: which LPs have had TDH.SYS.LP.INIT is forgotten where no later step reads it.

After a failure the CPUs differ in how far bring-up had come on each, and only in that. Where no step that is still possible
reads the difference, it multiplies the states for nothing: `kexec` of a design whose KVM runs LP.INIT has 3,875 orbits on 32
CPUs in 2 packages with this form, and 944,250 without. ``tests/test_abstractions.py`` compares with models that forget
nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.model.expr import Const, as_expr

if TYPE_CHECKING:
    from tdxexplore.tdx.fields import World
    from tdxexplore.tdx.policy import Policy


def declare(w: World, policy: Policy) -> None:
    """Declare what is forgotten; the procedures are recorded by now.

    The outcome `sticky-error` reads LP.INIT of CPUs that are offline. They have not had it, or have been refused since, which
    is an outcome before that one; unless a CPU goes offline after it (budgets ``cpu_down`` and ``smt_off``): then nothing is
    forgotten.
    """
    if w.has("cpu_down") or w.has("smt_off"):
        return
    when = as_expr(policy.off_for_good(w))
    if w.new_kernel and policy.lp_init_first and not w.has("second_user"):
        # A kernel in which TDH.SYS.INIT has not succeeded reads nothing of LPs. Only after kexec do any have LP.INIT then:
        # TDH.SYS.INIT is refused there, so that this kernel never will read it; after TDH.SYS.DISABLE none has.
        when |= (w.tdx_status == "UNINITIALIZED") & (w.sysinit_ret != "0") & ~w.tdx_module_lock
    if not isinstance(when, Const):
        w.model.forget((w.lp_is_init, w.tdx_lp_initialized), when)
