"""Outcomes of runs, invariants of all states, and the other questions that a TDX model answers.

`SEVERITY_TEXTS` says what the severities mean. Outcomes are declared most severe first, and a terminal state gets the first that
matches.
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


SEVERITY_TEXTS = {
    "S0": "catastrophic: memory is damaged, or the kernel crashes",
    "S1": "a deadlock, a run that never ends, or a permanent loss",
    "S2": "a refusal or an error that hits a user without cause",
    "S3": "TDX is off until reboot",
    "S4": "a nuisance",
    "ok": "nothing bad, or a refusal with a cause that can be tried again",
}
"""What each severity means in the TDX models."""

MEANINGS = {
    "corrupt": (
        "A TD call ran on an LP that has not had TDH.SYS.LP.INIT, and the module took it for LP 0 of package 0. Windows, vCPUs "
        "and keys of another LP are used, so that memory of TDs may be damaged; only a module without a check of its own does "
        "so."
    ),
    "seamcall-oops": (
        "A TD call was made on a CPU on which VMX is off, and this kernel makes an oops of the #UD. Since Linux 6.8 the "
        "SEAMCALL wrapper turns #UD into a status, so that it takes a KVM which calls BUG() on that status."
    ),
    "vmxoff-bug": (
        "VMXOFF, or VMPTRLD for a VM without TDX, was executed on a CPU on which VMX is off. The kernel executes them only where "
        "it believes VMX to be on, so that it calls BUG()."
    ),
    "cpuhp-bug": (
        "A teardown callback returned an error while its cpuhp state was removed, or while a registration that had failed was "
        "undone; or a state was removed a second time. Nobody could act on that error, so that kernel/cpu.c has a BUG_ON() there."
    ),
    "deadlock": (
        "Some actor waits for ever, and no step of anybody is left that could let it go on. The hung-task detector reports it "
        "after two minutes; a lock of hotplug that is held so stops every later user of it."
    ),
    "diverges": (
        "Some run goes on for ever although nothing new happens around it: somebody tries again and again without success. No "
        "built-in design does so; a policy of one's own with a loop may."
    ),
    "key-id-lost": (
        "The TD is gone, but its key id could not be freed, because a package had no online CPU to write its caches back or a "
        "call failed. The number of TDs that can run is smaller until reboot, and the pages of the TD are lost as well."
    ),
    "tds-lost": (
        "An update of the module had shut the old image down when it failed, and there is no way back. Every TD that was "
        "running is lost with it, and TDX is off until reboot."
    ),
    "td-error": (
        "A SEAMCALL failed on a TD that KVM created or is creating, on a CPU where the kernel let it run. The owner of the TD "
        "sees an error of an ioctl or of KVM_RUN, though he did nothing wrong."
    ),
    "td-mismeasured": (
        "An update of the module fell into the build of a TD, and a call that measures its memory was lost or repeated. The TD "
        "runs, but its owner cannot verify it, because the measurement is not the one that he expects."
    ),
    "user-error": (
        "A SEAMCALL of another user of TDX failed although TDX was up when that user came, mostly because KVM had turned VMX off "
        "on the CPU. What that user does, such as the encryption of a link, fails without a fault of its own."
    ),
    "vm-refused": (
        "The first VM could not be created, because VMX or TDX could not be turned on for it. Another attempt may succeed."
    ),
    "online-refused": (
        "A callback of KVM or TDX returned an error while a CPU came online, and the CPU stays offline. All work loses that "
        "CPU, not only TDs."
    ),
    "suspend-aborted": (
        "The offline veto refused a CPU in suspend although no TD holds a key id, so that the system stays awake. It happens "
        "again at each attempt until reboot, if the kernel's count of key ids is wrong."
    ),
    "sticky-error": (
        "TDX is off until reboot because the kernel remembers a failure, while the module is in a state in which it would "
        "accept another attempt, and every LP that it needs is online or initialised. A design that forgot the error could "
        "enable TDX."
    ),
    "lp-missing": (
        "TDX is off until reboot because an LP was offline that the module needs, and still is. This is the documented limit "
        "of a module that wants TDH.SYS.LP.INIT on every LP, and no fault of the design."
    ),
    "off-until-reboot": (
        "Bringing TDX up, or updating the module, broke half way, and the module accepts no second attempt in the state that "
        "it is in. VMs without TDX go on."
    ),
    "kvm-not-loaded": (
        "The load of KVM failed because TDX did not come up. No VM runs at all, until KVM is loaded with tdx=0 or the cause is "
        "gone."
    ),
    "warned": (
        "The kernel printed a warning: a WARN_ON(), or a report of lockdep. Nothing is lost by that alone, unless "
        "panic_on_warn is set."
    ),
    "latent-lp": (
        "TDX is up and an online CPU has not had TDH.SYS.LP.INIT, but nobody has run a TD there. The next user of TDX that "
        "trusts every online CPU meets the error."
    ),
    "tdx-up": ("TDX is up, and every online CPU can run it. Nothing bad happened on the way."),
    "clean-refusal": ("TDX is not up, and nothing stands against the next attempt. KVM runs VMs without TDX."),
    "rebooted": (
        "The machine restarts, and the run ends there. Everything that could go wrong on the way down had its chance before."
    ),
    "endless": (
        "A run goes on for ever because the question says so: a budget is unbounded. What must stay possible meanwhile is "
        "checked by the responses."
    ),
    "I1": (
        "A TD call is made only on a CPU that has had TDH.SYS.LP.INIT. Where this fails, it depends on the module whether the "
        "TD gets an error or memory is damaged."
    ),
    "I2": (
        "A SEAMCALL is made only on a CPU on which VMX is on. Where this fails, the call gives #UD, which is an error or an "
        "oops as the kernel's version has it."
    ),
    "I3": (
        "Where the kernel's flag says that a CPU has had TDH.SYS.LP.INIT, the module agrees. It never fails, as "
        "[abstractions](abstractions.md) argues; a design that kept its flags over an update would break it."
    ),
    "I4": (
        "While a TD holds a key id, every package has an online CPU. Where this fails, caches of a package cannot be written "
        "back, and the key id cannot be freed until a CPU there comes online again."
    ),
    "I5": (
        "While TDX is up and has a user, every active CPU has had TDH.SYS.LP.INIT. Where this fails, a vCPU of a TD may be "
        "scheduled on a CPU that cannot run it, even if no run of the question comes to that."
    ),
    "I7": (
        "In a design with references, VMX is on exactly on the CPUs on which somebody holds one. It fails only where the count "
        "and VMXON can be torn apart, and whoever is counted in between trusts a VMX that is off."
    ),
    "I9": (
        "No cache holds a dirty line of private memory when its CPU is offline or a new kernel starts. Where this fails, such a "
        "line may be written over memory that somebody else uses by then."
    ),
    "I10": (
        "While the system shuts down, VMXOFF is executed only on a CPU on which VMX is on. Where this fails, the kernel eats the "
        "#UD, as it knows that it reboots."
    ),
}
"""What each outcome and invariant means, in two sentences: what has happened, and what follows for who uses the machine.

I6 is the outcome ``deadlock``, I8 a response.
"""
