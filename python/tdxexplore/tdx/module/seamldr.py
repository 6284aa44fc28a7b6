"""P-SEAMLDR puts another image of the module in the place of the one that was shut down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdxexplore.model import Event, cpus
from tdxexplore.tdx.module.dispatcher import (
    BAD_CALL,
    INSTALL_FAILED,
    SEAMCALL,
    SUCCESS,
    UD,
    Seamcall,
)

if TYPE_CHECKING:
    from tdxexplore.model.expr import Variable
    from tdxexplore.tdx.kernel import Kernel


def seamldr_install(k: Kernel, *, all_lps: bool) -> Variable:
    """SEAMLDR.INSTALL, P-SEAMLDR's published seamldr_install.c: the first call of a session takes the old image away.

    Each LP calls once in a session, and a second call is EBADCALL. All the work is done on the last LP. An error there closes
    the session: before memory has changed the old image is let in again, later no image is left. A session that lacks an LP
    stays open.

    Args:
        k: What is being recorded.
        all_lps: The last one is that of the platform, as in the published source, or of those that are online.
    """
    w = k.w
    install = Event(SEAMCALL, "SEAMLDR.INSTALL")
    with k.function(install.name, returns=(SUCCESS, UD, BAD_CALL, INSTALL_FAILED)) as f:
        call = Seamcall(k, install.name, f)
        with k.if_(~w.vmx_on):
            k.blame(w.seamcall_outside_vmx)
            call.returns(UD)
        with k.if_(w.installed):
            call.returns(BAD_CALL)
        k.set(w.installed, value=True)
        k.set(w.image_gone, value=True)
        with k.if_(cpus.all(w.installed) if all_lps else cpus.all(~w.online | w.installed)):
            k.set_each(cpus, where=True, values={w.installed: False})
            if w.has("install_fail"):
                _install_fails(k, call)
            k.note("a new image starts: PENDING, no LP initialised")
            k.set(w.image_gone, value=False)
            k.set(w.sys_shutdown, value=False)
            k.set(w.sys_state, "PENDING")
            k.set_each(cpus, where=True, values={w.lp_is_init: False})
            k.add(w.generation, 1)
        call.returns(SUCCESS)
    return f.result


def _install_fails(k: Kernel, call: Seamcall) -> None:
    """An error on the last LP of a session: the old image, which is shut down, is there again, or none is."""
    with k.fault("install_fail"):
        with k.either() as how:
            with how.branch():
                k.note("P-SEAMLDR refuses the image, and lets the old one in again")
                k.set(k.w.image_gone, value=False)
            with how.branch():
                k.note("P-SEAMLDR has written over the old image")
        call.returns(INSTALL_FAILED)
