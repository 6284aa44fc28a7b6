"""Faults in the mechanics of ``linux/`` and of virtualization, each of which a recorded kernel must contradict."""

from __future__ import annotations

import inspect
import sys
import textwrap
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tdxexplore.linux import cpuhp, locks
from tdxexplore.model import always, never
from tdxexplore.tdx import kvm, vmx

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Fault:
    """A text of a method and what stands in its place."""

    name: str
    owner: type
    method: str
    before: str
    after: str
    policy: str = ""

    @contextmanager
    def planted(self) -> Iterator[None]:
        """The method with the fault, as long as the body runs."""
        original = self.owner.__dict__[self.method]
        source = textwrap.dedent(inspect.getsource(inspect.unwrap(original)))
        assert source.count(self.before) == 1, (self.name, source.count(self.before))
        scope: dict[str, Any] = {**vars(sys.modules[self.owner.__module__]), "always": always, "never": never}
        code = f"from __future__ import annotations\n{source.replace(self.before, self.after)}"
        exec(compile(code, self.name, "exec"), scope)
        setattr(self.owner, self.method, scope[self.method])
        try:
            yield
        finally:
            setattr(self.owner, self.method, original)


UP, DOWN, SETUP, REMOVE = "cpu_up", "cpu_down", "cpuhp_setup_state", "cpuhp_remove_state"
K, L, V, KVM = cpuhp.Kernel, locks.Locks, vmx.Vmx, kvm.VirtAtLoad
DISABLE = "self.kvm_disable_cpu(k, callback=True)"

FAULTS = [
    Fault("up: callbacks from the top down", K, UP, "enumerate(hooks):", "reversed(list(enumerate(hooks))):"),
    Fault("up: an error is ignored", K, UP, "if_(error != OK)", "if_(never)"),
    Fault("up: rollback from the bottom up", K, UP, "reversed(hooks[:reached])", "hooks[:reached]"),
    Fault("up: rollback takes down what failed", K, UP, "hooks[:reached]", "hooks[: reached + 1]"),
    Fault("up: no rollback", K, UP, "hooks[:reached]", "hooks[:0]"),
    Fault("up: rollback stops one short", K, UP, "hooks[:reached]", "hooks[1:reached]"),
    Fault("up: a refused CPU stays online", K, "_refused", "self._offline()", "self.cpus_write_unlock()"),
    Fault("up: callbacks that are not registered", K, UP, "with self.if_(hook.registered):", "with self.if_(always):"),
    Fault("down: callbacks from the bottom up", K, DOWN, "reversed(list(enumerate(hooks)))", "list(enumerate(hooks))"),
    Fault("down: a veto is ignored", K, DOWN, "if_(error != OK)", "if_(never)"),
    Fault("down: a veto starts itself again", K, DOWN, "hooks[reached + 1 :]", "hooks[reached:]"),
    Fault("down: a veto starts nothing again", K, DOWN, "hooks[reached + 1 :]", "hooks[:0]"),
    Fault("down: a veto starts one too few", K, DOWN, "hooks[reached + 1 :]", "hooks[reached + 2 :]"),
    Fault("down: a veto starts from the top down", K, DOWN, "hooks[reached + 1 :]", "hooks[:reached:-1]"),
    Fault(
        "down: a vetoed CPU goes offline",
        K,
        DOWN,
        "self.set(w.active, value=True)\n                    self.cpus_write_unlock()",
        "self._offline()",
    ),
    Fault(
        "down: callbacks that are not registered", K, DOWN, "with self.if_(hook.registered):", "with self.if_(always):"
    ),
    Fault("down: the CPU stays online", K, DOWN, "self._offline()", "self.cpus_write_unlock()"),
    Fault("registration: on CPUs that are offline", K, SETUP, "on_each_cpu(w.online,", "on_each_cpu(True,"),
    Fault("registration: rollback on all CPUs", K, SETUP, "on_each_cpu(w.cpuhp_done,", "on_each_cpu(w.online,"),
    Fault("registration: no rollback", K, SETUP, "on_each_cpu(w.cpuhp_done,", "on_each_cpu(False,"),
    Fault("registration: goes on after an error", K, SETUP, "each.stop()", "pass"),
    Fault("registration: an error is ignored", K, SETUP, "f.returns(EIO)", "f.returns(OK)"),
    Fault("registration: no startup", K, SETUP, "on_each_cpu(w.online,", "on_each_cpu(False,"),
    Fault("registration: callbacks stay after an error", K, SETUP, "self._unregister(hook)", "pass"),
    Fault("registration: callbacks are not kept", K, SETUP, "self.set(hook.registered, value=True)", "pass"),
    Fault("registration: without the lock", K, SETUP, "if cpuslocked else self.cpus_read_lock()", ""),
    Fault("removal: on CPUs that are offline", K, REMOVE, "on_each_cpu(w.online,", "on_each_cpu(True,"),
    Fault("removal: no teardown", K, REMOVE, "on_each_cpu(w.online,", "on_each_cpu(False,"),
    Fault("removal: callbacks stay", K, REMOVE, "self._unregister(hook)", "pass"),
    Fault(
        "lock: readers do not wait for a writer", L, "cpus_read_lock", 'self.await_(w.cpus_writer == "none")', "pass"
    ),
    Fault("lock: the writer does not wait for readers", L, "cpus_write_lock", "self.await_(~self.w.cpus_read)", "pass"),
    Fault("lock: the writer never releases", L, "cpus_write_unlock", 'self.set(self.w.cpus_writer, "none")', "pass"),
    Fault("reference: none taken", V, "get_ref", "self.add(w.vmx_users, 1)", "pass", "linux-7.1"),
    Fault("reference: not given back", V, "put_ref", "self.add(w.vmx_users, -1)", "pass", "linux-7.1"),
    Fault("KVM: an offline CPU keeps its reference", KVM, "kvm_offline_cpu", DISABLE, "pass", "linux-7.1"),
    Fault("KVM: never removed", KVM, "_disable_virtualization", "k.cpuhp_remove_state(self.kvm_online)", "pass"),
]
