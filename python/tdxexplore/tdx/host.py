"""The TDX host library of Linux 6.8 to 7.0, which KVM calls to bring TDX up.

Source: arch/x86/virt/vmx/tdx/tdx.c @01fb93a3.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Literal, TypeAlias

from tdxexplore.linux.errno import EACCES, EINVAL, EIO, OK
from tdxexplore.tdx import module

if TYPE_CHECKING:
    from tdxexplore.model import Field
    from tdxexplore.model.expr import Variable
    from tdxexplore.tdx.kernel import Kernel

IrqAssertion: TypeAlias = Literal["tdx_cpu_enable()", "try_init_module_global()", "nowhere"]

HOST = "arch/x86/virt/vmx/tdx/tdx.c @01fb93a3"


def tdx_cpu_enable(k: Kernel, irq_assertion: IrqAssertion = "tdx_cpu_enable()") -> Variable:
    """tdx_cpu_enable() on the acting CPU: TDH.SYS.INIT once in the system, TDH.SYS.LP.INIT here.

    The result of TDH.SYS.INIT is cached, even a failure.

    Args:
        k: What is being recorded.
        irq_assertion: Where lockdep asserts that interrupts are off: 6.8 to 7.0 do at once (read in 6.12), RFC v3 of what became
            7.1 in try_init_module_global() only, and 7.1 nowhere (read in 7.2).
    """
    w = k.w
    with k.function("tdx_cpu_enable()", HOST, returns=(OK, EACCES, EIO)) as f:
        if irq_assertion == "tdx_cpu_enable()":
            k.lockdep_assert_irqs_disabled()
        with k.if_(w.tdx_lp_initialized):
            f.returns(OK)
        with k.function("try_init_module_global()"):
            if irq_assertion == "try_init_module_global()":
                k.lockdep_assert_irqs_disabled()
            with k.if_(w.sysinit_ret == "not called"):
                _errno(k, module.sys_init(k), w.sysinit_ret)
        for error in (EACCES, EIO):
            with k.if_(w.sysinit_ret == error):
                f.returns(error)
        _errno(k, module.sys_lp_init(k), f.result)
        with k.if_(f.result == OK):
            k.set(w.tdx_lp_initialized, value=True)
    return f.result


def tdx_cpu_flush_cache(k: Kernel, *, guarded: bool) -> None:
    """tdx_cpu_flush_cache() of 6.18 and later: WBINVD, under the rule that preemption is off.

    Args:
        k: What is being recorded.
        guarded: The caller turns preemption off.
    """
    with k.function("tdx_cpu_flush_cache()"), k.preempt_off() if guarded else nullcontext():
        k.lockdep_assert_preemption_disabled()
        k.wbinvd()


def tdx_enable(k: Kernel) -> Variable:
    """tdx_enable(), the caller holds the read side of cpu_hotplug_lock: an error is remembered until reboot."""
    w = k.w
    with k.function("tdx_enable()", HOST, returns=(OK, EINVAL, EIO)) as f:
        k.lockdep_assert_cpus_held()
        with k.mutex(w.tdx_module_lock):
            tdx_enable_locked(k, f.result)
    return f.result


def tdx_enable_locked(k: Kernel, result: Variable) -> None:
    """The status switch of tdx_enable(), under tdx_module_lock."""
    w = k.w
    with k.if_(w.tdx_status == "INITIALIZED"):
        k.set(result, OK)
    with k.else_():
        with k.if_(w.tdx_status == "ERROR"):
            k.note("tdx_enable(): the module failed before, -EINVAL until reboot")
            k.set(result, EINVAL)
        with k.else_():
            error = init_tdx_module(k)
            with k.if_(error == OK):
                k.set(w.tdx_status, "INITIALIZED")
            with k.else_():
                k.set(w.tdx_status, "ERROR")
            k.set(result, error)


def init_tdx_module(k: Kernel) -> Variable:
    """init_tdx_module(): SYS.RD and CONFIG wherever the thread runs, KEY.CONFIG once in each package, TDMR.INIT.

    SYS.RD and CONFIG are one step on one CPU, although the thread may migrate between them. SYS.RD has the stricter
    precondition and no effect, so migrating adds no outcome. Allocations and WBINVD change nothing that another actor reads.
    """
    w = k.w
    with k.function("init_tdx_module()", HOST, returns=(OK, EIO)) as f:
        with k.on_any_cpu(w.active, "config_tdx_module()"):
            with k.if_(module.sys_rd(k) != module.SUCCESS):
                f.returns(EIO)
            k.may_fail("no_memory", f, EIO)
            with k.if_(module.sys_config(k) != module.SUCCESS):
                f.returns(EIO)
        with k.once_in_each_package(w.online, w.pkg_config, "config_global_keyid()"):
            with k.if_(module.sys_key_config(k) != module.SUCCESS):
                f.returns(EIO)
        with k.loop() as slices:
            with k.on_any_cpu(w.active, "init_tdmrs()"):
                with k.if_(module.sys_tdmr_init(k) != module.SUCCESS):
                    f.returns(EIO)
                with k.if_(w.budget["tdmr_slice"] == 0):
                    slices.leave()
                k.spend("tdmr_slice")
        f.returns(OK)
    return f.result


def _errno(k: Kernel, status: Variable, into: Variable | Field) -> None:
    """sc_retry_prerr(): #UD becomes -EACCES, any other error -EIO."""
    with k.if_(status == module.SUCCESS):
        k.set(into, OK)
    with k.else_():
        with k.if_(status == module.UD):
            k.set(into, EACCES)
        with k.else_():
            k.set(into, EIO)
