"""Outcomes of runs, invariants of all states, and the other questions that a TDX model answers.

Severities: S0 is catastrophic. S1 is a deadlock or a permanent loss. S2 is a refusal or an error that hits a user without
cause. S3 means that TDX is off until reboot. S4 is a nuisance. Outcomes are declared most severe first, and a terminal state
gets the first that matches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.linux.locks import IPI
from tdxexplore.linux.state import CPUHP_BUG
from tdxexplore.model import cpus, package_cpus, packages
from tdxexplore.tdx.fields import CORRUPT, SEAMCALL_UD, UNBOUNDED, VMXOFF_UD
from tdxexplore.tdx.module import LP_INIT_AGAIN, SEAMCALL, enough_lps
from tdxexplore.tdx.vmx import VMXOFF_DONE, VMXON_DONE

if TYPE_CHECKING:
    from tdxexplore.model.expr import Expr
    from tdxexplore.tdx.fields import World


def declare(w: World) -> None:
    """Declare outcomes, invariants, expectations, responses and prices; the procedures are recorded by now."""
    m = w.model
    m.outcome(
        "corrupt",
        "S0",
        w.oops == CORRUPT,
        "a TD call runs on an LP without LP.INIT, as LP 0 of package 0",
        fatal=True,
    )
    m.outcome("seamcall-oops", "S0", w.oops == SEAMCALL_UD, "a TD call outside VMX operation: #UD, oops", fatal=True)
    m.outcome(
        "vmxoff-bug",
        "S0",
        w.oops == VMXOFF_UD,
        "VMXOFF or another instruction of VMX outside VMX operation: #UD, BUG",
        fatal=True,
    )
    m.outcome(
        "cpuhp-bug",
        "S0",
        w.oops == CPUHP_BUG,
        "a teardown fails while its state is removed, or a state is removed twice",
        fatal=True,
    )
    m.outcome("deadlock", "S1", m.stuck() & ~w.rebooted, "an actor waits for ever")
    if not unbounded(w):
        m.diverges("diverges", "S1", "a run never comes to an end: somebody tries again for ever")
    m.outcome("key-id-lost", "S1", w.hkid_leaked, "the TD is gone, but its key id cannot be reclaimed")
    m.outcome("tds-lost", "S1", w.tds_lost, "an update of the module fails half way, and takes the running TDs with it")
    m.outcome("td-error", "S2", w.td_error, "a SEAMCALL fails on a TD that KVM created or is creating")
    m.outcome(
        "td-mismeasured", "S2", w.td_mismeasured, "a TD runs with a wrong measurement, after an update during its build"
    )
    m.outcome("user-error", "S2", w.user_error, "a SEAMCALL of a second user fails, though TDX was up when it came")
    m.outcome("vm-refused", "S2", w.vm_refused, "creating the first VM fails without cause")
    m.outcome("online-refused", "S2", w.online_refused, "a CPU is refused by a callback")
    m.outcome("suspend-aborted", "S2", w.suspend_aborted, "suspend is refused, though no TD holds a key id")
    error = (w.tdx_status == "ERROR") | w.sysinit_ret.isin(["-EACCES", "-EIO"])
    # LP.INIT lasts. TDH.SYS.CONFIG is accepted once, so that a failure after it cannot be tried again.
    untouched = w.sys_state.isin(["PENDING", "INIT_DONE"]) & ~w.sys_shutdown
    enough = enough_lps(w, w.online | w.lp_is_init)
    m.outcome(
        "sticky-error",
        "S3",
        error & untouched & enough,
        "TDX is off until reboot, though the hardware would let it try again",
    )
    m.outcome(
        "lp-missing",
        "S3",
        error & untouched & ~enough,
        "TDX is off until reboot: an LP is offline that the module needs, the documented limit",
    )
    m.outcome(
        "off-until-reboot", "S3", error | w.update_failed, "TDX is off until reboot: bringing it up broke half way"
    )
    m.outcome("kvm-not-loaded", "S3", ~w.kvm_loaded & ~w.enable_tdx & ~w.rebooted, "KVM does not load, because of TDX")
    m.outcome("warned", "S4", w.warned, "the kernel warns")
    up = w.tdx_status == "INITIALIZED"
    latent = up & ~cpus.all(~w.active | w.lp_is_init)
    m.outcome("latent-lp", "S4", latent, "TDX is up, and a CPU without LP.INIT is online, unused so far")
    m.outcome("tdx-up", "ok", up, "TDX is up and every online CPU can run it")
    if w.has("reboot"):
        m.outcome("rebooted", "ok", w.rebooted, "the machine restarts, which ends the run", fatal=True)
    m.outcome("clean-refusal", "ok", True, "TDX is not up; nothing was remembered against the next try")
    if unbounded(w):
        m.diverges("endless", "ok", "a run never comes to an end, as was asked for: some budget never runs out")

    _invariants(w, up)
    m.expect("kvm-tried", w.kvm_tried, "KVM has been loaded, or has failed to")
    if w.has("cpu_up") or w.has("cpu_down"):
        m.expect("hotplug-ran", w.cpus_writer == "held", "a CPU is coming or going")
    if w.has("suspend"):
        m.expect("suspended", w.frozen, "the system is suspending")
    if w.restarts:
        m.expect("shut-down", w.restarting, "the system is shutting down")
    if not w.generation.constant:
        m.expect("updated", w.generation > 0, "a new image of the module runs")

    _responses(w, up)
    _prices(w)


def _invariants(w: World, up: Expr) -> None:
    m = w.model
    # KVM is a user until rmmod has seen its last VM go.
    user = w.kvm_loaded & (~w.kvm_unloading | (w.td != "none")) & w.enable_tdx & up
    m.invariant("I1", ~w.td_call_without_lp_init, "a TD call is made on a CPU only after LP.INIT there")
    m.invariant("I2", ~w.seamcall_outside_vmx, "a SEAMCALL is made in VMX operation only")
    # TDH.SYS.DISABLE resets the hardware's; the kernel that goes down does not look again.
    flags = cpus.all(~w.tdx_lp_initialized | w.lp_is_init)
    m.invariant("I3", flags | w.restarting, "the kernel's flag implies the hardware's")
    m.invariant(
        "I4", ~w.hkid_live | packages.all(package_cpus.any(w.online)), "a live key id has a CPU in every package"
    )
    ready = ~user | w.restarting | cpus.all(~w.active | w.lp_is_init)
    m.invariant("I5", ready, "with TDX up and a user, an active CPU has LP.INIT")

    if not w.vmx_users.constant:
        counted = (w.vmx_users > 0) & w.vmx_on | (w.vmx_users == 0) & ~w.vmx_on
        m.invariant("I7", cpus.all(counted), "VMX is on exactly where somebody holds a reference")

    if not w.cache_dirty.constant:
        clean = ~w.dirty_at_jump & cpus.all(w.online | ~w.cache_dirty)
        m.invariant(
            "I9", clean, "no cache has a dirty line of private memory when its CPU is offline or a new kernel starts"
        )
    if w.restarts:
        m.invariant("I10", ~w.vmxoff_outside_vmx, "VMXOFF is executed in VMX operation only")


def unbounded(w: World) -> list[str]:
    """The budgets that never run out."""
    return [name for name, limit in w.limit.items() if limit == UNBOUNDED]


def _responses(w: World, up: Expr) -> None:
    """Responses are declared only if a budget has no limit: used-up budgets make everything impossible in the end."""
    m = w.model
    endless = unbounded(w)
    if not endless:
        return
    if "kvm_load" in endless or not w.booted.constant:
        m.response("I8", cpus.all(w.online), up, "once all LPs are online, TDX can be enabled", "S3")
    for code in m.codes:
        m.response(
            f"{code.actor}-finishes",
            m.busy(code),
            ~m.busy(code),
            "what was begun can come to an end, fairly scheduled",
            "S1",
        )


def _prices(w: World) -> None:
    m = w.model
    m.price("seamcalls", "calls of the module and of P-SEAMLDR", events=[SEAMCALL])
    m.price("lp-init-again", "TDH.SYS.LP.INIT on an LP that has had it", events=[LP_INIT_AGAIN.kind])
    m.price("vmxon", "VMXON that succeeded", events=[VMXON_DONE.kind])
    m.price("vmxoff", "VMXOFF that succeeded", events=[VMXOFF_DONE.kind])
    m.price("ipis", "on_each_cpu(): a function that runs on a CPU, the sender's own included", events=[IPI.kind])
    m.price("steps", "steps of all actors", during=True)
    m.price("steps-under-cpus-lock", "steps while somebody holds cpus_read_lock()", during=w.cpus_read)
    m.price("steps-with-vmx", "steps while VMX is on, on some CPU", during=cpus.any(w.vmx_on))
