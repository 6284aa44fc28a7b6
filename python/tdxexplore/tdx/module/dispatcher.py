"""A SEAMCALL as the dispatcher takes it: what every call checks before its own guards, and what it may return.

Source: intel/tdx-module, branch tdx_1.5 @72d8cffb, ``src/vmm_dispatcher/tdx_vmm_dispatcher.c``.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Literal, TypeAlias

from tdxexplore.model import Event, block, cpus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tdxexplore.model.expr import Variable
    from tdxexplore.model.procedure import Frame
    from tdxexplore.tdx.kernel import Kernel

Lock: TypeAlias = Literal["none", "shared", "exclusive"]

SUCCESS = "TDX_SUCCESS"
UD = "#UD"
INIT_NOT_PENDING = "TDX_SYS_INIT_NOT_PENDING"
LP_INIT_NOT_PENDING = "TDX_SYS_LP_INIT_NOT_PENDING"
LP_INIT_DONE = "TDX_SYS_LP_INIT_DONE"
LP_INIT_NOT_DONE = "TDX_SYS_LP_INIT_NOT_DONE"
CONFIG_NOT_PENDING = "TDX_SYS_CONFIG_NOT_PENDING"
KEY_CONFIG_NOT_PENDING = "TDX_SYS_KEY_CONFIG_NOT_PENDING"
KEY_CONFIGURED = "TDX_KEY_CONFIGURED"
KEY_GENERATION_FAILED = "TDX_KEY_GENERATION_FAILED"
NOT_READY = "TDX_SYS_NOT_READY"
BUSY = "TDX_SYS_BUSY"
NO_ENTROPY = "TDX_RND_NO_ENTROPY"
SHUTDOWN = "TDX_SYS_SHUTDOWN"
STATE_INCORRECT = "TDX_SYS_STATE_INCORRECT"
INVALID_HANDOFF = "TDX_SYS_INVALID_HANDOFF"
OPERAND_INVALID = "TDX_OPERAND_INVALID"
INTERRUPTED_RESUMABLE = "TDX_INTERRUPTED_RESUMABLE"
VCPU_ASSOCIATED = "TDX_VCPU_ASSOCIATED"
FLUSHVP_NOT_DONE = "TDX_FLUSHVP_NOT_DONE"
WBCACHE_NOT_COMPLETE = "TDX_WBCACHE_NOT_COMPLETE"
UPDATE_COMPAT_SENSITIVE = "TDX_UPDATE_COMPAT_SENSITIVE"
PAGE_METADATA_INCORRECT = "TDX_PAGE_METADATA_INCORRECT"
VMFAIL_INVALID = "VMfailInvalid"
BAD_CALL = "EBADCALL"
INSTALL_FAILED = "an error"
CORRUPT = "runs on an uninitialised LP"

# What prices count.
SEAMCALL = "seamcall"
LP_INIT_AGAIN = Event("lp init again")


class Seamcall:
    """A SEAMCALL that is being recorded; what it returns is noted in the trace."""

    def __init__(self, k: Kernel, name: str, frame: Frame) -> None:
        self._k = k
        self.name = name
        self._frame = frame
        self.result: Variable = frame.result

    def returns(self, code: str, *events: Event) -> None:
        """The completion status, and what happens with it."""
        self._k.note(f"{self.name} = {code}", Event(SEAMCALL, self.name), *events)
        self._frame.returns(code)


@block
def seamcall(k: Kernel, name: str, *codes: str, lock: Lock = "none", in_shutdown: bool = False) -> Iterator[Seamcall]:
    """A SEAMCALL on the acting CPU: outside VMX operation #UD, without an image VMfailInvalid; then the dispatcher.

    Any call may leave lines of private memory in the cache, so that the kernel takes the cache to be dirty from the call on
    (cache_state_incoherent, since 6.18).

    Args:
        k: What is being recorded.
        name: Of the call.
        codes: What it may return besides.
        lock: How it takes the module's global lock; every call that takes it may find it taken (fault ``sys_busy``).
        in_shutdown: The dispatcher lets it pass after a shutdown.
    """
    w = k.w
    with k.function(name, returns=(SUCCESS, UD, VMFAIL_INVALID, SHUTDOWN, BUSY, NO_ENTROPY, *codes)) as frame:
        call = Seamcall(k, name, frame)
        with k.if_(~w.vmx_on):
            k.blame(w.seamcall_outside_vmx)
            call.returns(UD)
        with k.if_(w.image_gone):
            call.returns(VMFAIL_INVALID)
        if w.caches:
            k.set(w.cache_dirty, value=True)
        if not in_shutdown:
            with k.if_(w.sys_shutdown):
                call.returns(SHUTDOWN)
        if lock != "none":
            try_lock(k, call, lock)
        with _inside(k, call, lock) if w.contended and lock != "none" else nullcontext():
            yield call


def try_lock(k: Kernel, call: Seamcall, lock: Lock) -> None:
    """The module's global lock (tdx_locks.h): a call that finds it taken returns TDX_SYS_BUSY at once."""
    w = k.w
    k.may_fail("sys_busy", call, BUSY)
    with k.if_(w.seam_exclusive if lock == "shared" else w.seam_exclusive | cpus.any(w.in_seam)):
        call.returns(BUSY)


@block
def _inside(k: Kernel, call: Seamcall, lock: Lock) -> Iterator[None]:
    """Entry and exit of a call as two steps: between them it holds the global lock."""
    w = k.w
    k.set(w.in_seam, value=True)
    if lock == "exclusive":
        k.set(w.seam_exclusive, value=True)
    with k.seam_exit(call.name):
        k.set(w.in_seam, value=False)
        if lock == "exclusive":
            k.set(w.seam_exclusive, value=False)
        yield
