"""The TDX module: what each SEAMCALL checks, does and returns. Nothing else in the package decides that.

Source: intel/tdx-module, branch tdx_1.5 @72d8cffb, ``src/vmm_dispatcher/api_calls/``, one file a call. No public module
relaxes the all-LP test of TDH.SYS.CONFIG, so the behaviour is a parameter, the *module kind*:

- ``strict``: the public sources. CONFIG needs TDH.SYS.LP.INIT on every LP that the firmware enabled, whatever Linux
  has online; LP.INIT is accepted in state INIT_DONE only.
- ``subset``: described by mail only (Kai Huang, 2023-06-05 and 2024-04-23). CONFIG needs one initialised LP in each
  package; LP.INIT is accepted later too; TD calls on an LP without it return TDX_SYS_LP_INIT_NOT_DONE.
- ``subset-nocheck``: as ``subset`` without that last check: the call goes through, acting as LP 0 of package 0.

Not modelled here: the global try-lock and TDX_SYS_BUSY, entropy errors, TDH.SYS.SHUTDOWN and updates.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tdxexplore.model import cpus, package_cpus, packages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.model.expr import Variable
    from tdxexplore.model.record import Frame
    from tdxexplore.tdx.kernel import Kernel

SUCCESS = "TDX_SUCCESS"
UD = "#UD"
INIT_NOT_PENDING = "TDX_SYS_INIT_NOT_PENDING"
LP_INIT_NOT_PENDING = "TDX_SYS_LP_INIT_NOT_PENDING"
LP_INIT_DONE = "TDX_SYS_LP_INIT_DONE"
LP_INIT_NOT_DONE = "TDX_SYS_LP_INIT_NOT_DONE"
CONFIG_NOT_PENDING = "TDX_SYS_CONFIG_NOT_PENDING"
KEY_CONFIG_NOT_PENDING = "TDX_SYS_KEY_CONFIG_NOT_PENDING"
KEY_CONFIGURED = "TDX_SYS_KEY_CONFIGURED"
NOT_READY = "TDX_SYS_NOT_READY"
CORRUPT = "runs on an uninitialised LP"


class Seamcall:
    """A SEAMCALL that is being recorded; what it returns is noted in the trace."""

    def __init__(self, k: Kernel, name: str, frame: Frame) -> None:
        self._k = k
        self._name = name
        self._frame = frame
        self.result: Variable = frame.result

    def returns(self, code: str) -> None:
        """The completion status."""
        self._k.note(f"{self._name} = {code}")
        self._frame.returns(code)


@contextmanager
def seamcall(k: Kernel, name: str, *codes: str) -> Iterator[Seamcall]:
    """A SEAMCALL on the acting CPU: #UD outside VMX operation, and then the module never sees it."""
    with k.function(name, returns=(SUCCESS, UD, *codes)) as frame:
        call = Seamcall(k, name, frame)
        with k.if_(~k.w.vmx_on):
            call.returns(UD)
        yield call


def sys_init(k: Kernel) -> Variable:
    """TDH.SYS.INIT, tdh_sys_init.c: once, from PENDING."""
    with seamcall(k, "TDH.SYS.INIT", INIT_NOT_PENDING) as call:
        with k.if_(k.w.sys_state != "PENDING"):
            call.returns(INIT_NOT_PENDING)
        k.set(k.w.sys_state, "INIT_DONE")
        call.returns(SUCCESS)
    return call.result


def sys_lp_init(k: Kernel) -> Variable:
    """TDH.SYS.LP.INIT, tdh_sys_lp_init.c: once on each LP; only a new image or a platform reset undoes it."""
    w = k.w
    accepted = ["INIT_DONE"] if w.module == "strict" else ["INIT_DONE", "CONFIG_DONE", "READY"]
    with seamcall(k, "TDH.SYS.LP.INIT", LP_INIT_NOT_PENDING, LP_INIT_DONE) as call:
        with k.if_(~w.sys_state.isin(accepted)):
            call.returns(LP_INIT_NOT_PENDING)
        with k.if_(w.lp_is_init):
            call.returns(LP_INIT_DONE)
        k.set(w.lp_is_init, value=True)
        call.returns(SUCCESS)
    return call.result


def sys_config(k: Kernel) -> Variable:
    """TDH.SYS.CONFIG, tdh_sys_config.c: one error code for a wrong state and for a missing LP.INIT alike."""
    w = k.w
    enough = cpus.all(w.lp_is_init) if w.module == "strict" else packages.all(package_cpus.any(w.lp_is_init))
    with seamcall(k, "TDH.SYS.CONFIG", CONFIG_NOT_PENDING) as call:
        with k.if_((w.sys_state != "INIT_DONE") | ~enough):
            call.returns(CONFIG_NOT_PENDING)
        k.set(w.sys_state, "CONFIG_DONE")
        k.set_each(packages, where=True, values={w.pkg_config: False})
        call.returns(SUCCESS)
    return call.result


def sys_key_config(k: Kernel) -> Variable:
    """TDH.SYS.KEY.CONFIG, tdh_sys_key_config.c: once in each package; the last one makes the module READY."""
    w = k.w
    with seamcall(k, "TDH.SYS.KEY.CONFIG", KEY_CONFIG_NOT_PENDING, KEY_CONFIGURED) as call:
        with k.if_(w.sys_state != "CONFIG_DONE"):
            call.returns(KEY_CONFIG_NOT_PENDING)
        with k.if_(w.pkg_config):
            call.returns(KEY_CONFIGURED)
        k.set(w.pkg_config, value=True)
        with k.if_(packages.all(w.pkg_config)):
            k.set(w.sys_state, "READY")
        call.returns(SUCCESS)
    return call.result


def sys_tdmr_init(k: Kernel) -> Variable:
    """TDH.SYS.TDMR.INIT, tdh_sys_tdmr_init.c: the loop over all slices as one call."""
    with seamcall(k, "TDH.SYS.TDMR.INIT", NOT_READY) as call:
        with k.if_(k.w.sys_state != "READY"):
            call.returns(NOT_READY)
        call.returns(SUCCESS)
    return call.result


def td_call(k: Kernel, name: str) -> Variable:
    """A call of a TD's life (TDH.MNG.CREATE, TDH.VP.ENTER, ...): #UD is an oops, as KVM does not expect it.

    The dispatcher (tdx_vmm_dispatcher.c) tests the state READY, not lp_is_init; ``subset`` assumes that a relaxed module
    would test it.
    """
    w = k.w
    with seamcall(k, name, NOT_READY, LP_INIT_NOT_DONE, CORRUPT) as call:
        with k.if_(w.sys_state != "READY"):
            call.returns(NOT_READY)
        if w.module == "subset":
            with k.if_(~w.lp_is_init):
                call.returns(LP_INIT_NOT_DONE)
        else:
            with k.if_(~w.lp_is_init):
                k.set(w.oops, "corrupt")
                call.returns(CORRUPT)
        call.returns(SUCCESS)
    with k.if_(call.result == UD):
        k.set(w.oops, "seamcall #UD")
    return call.result
