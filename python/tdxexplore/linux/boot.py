"""Boot: initcalls, the APs that are started later, and the CPUs that boot parameters keep down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

from tdxexplore.linux.cpuhp import Kernel
from tdxexplore.linux.state import ACTIVE, BOOT_CPU, ONLINE, SIBLING, SMP_INIT, SMT_BLOCKED

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tdxexplore.linux.cpuhp import Hook
    from tdxexplore.linux.state import Linux
    from tdxexplore.model import Field, State, Topology

K = TypeVar("K", bound=Kernel)

# Which CPUs the boot brings up: all; one (``maxcpus=1``); or the primary siblings (``nosmt``).
Boots: TypeAlias = Literal["all", "one", "primaries"]


def initcalls(k: K, run: Callable[[K], None]) -> K:
    """What runs before user space does."""
    k.step("initcalls")
    run(k)
    k.set(k.w.booted, value=True)
    return k


def bringup_nonboot_cpus(k: K, hooks: tuple[Hook[K], ...]) -> None:
    """bringup_nonboot_cpus(): start every AP that smp_init() has not started yet, one after the other."""
    w = k.w
    with k.function("bringup_nonboot_cpus()", "kernel/cpu.c"):
        with k.on_each_cpu(w.smp_init & ~w.online, "start an AP", serial=True):
            k.cpu_up(hooks)


def kept_down(boots: Boots, topology: Topology) -> frozenset[int]:
    """The CPUs that the boot does not bring up; with ``nosmt`` the second half of each package."""
    numbers = range(topology.cpus)
    match boots:
        case "all":
            return frozenset()
        case "one":
            return frozenset(numbers[1:])
        case "primaries":
            return siblings(topology)


def siblings(topology: Topology) -> frozenset[int]:
    """The CPUs that are not the first thread of their core: the second half of each package."""
    starts = [sum(topology.sizes[:p]) for p in topology.package_of]
    sizes = [topology.sizes[p] for p in topology.package_of]
    return frozenset(n for n in range(topology.cpus) if 2 * (n - starts[n]) >= sizes[n] and sizes[n] > 1)


def starts_with(
    state: State,
    offline: Collection[int],
    *,
    smt_blocked: bool,
    later: bool,
    boot_cpu: bool = True,
    second: Collection[int] = (),
) -> None:
    """Say which CPU of an initial state is the boot CPU, and take CPUs offline.

    Args:
        state: Is changed.
        offline: CPUs that the boot does not bring up.
        smt_blocked: ``nosmt`` keeps them down.
        later: All other CPUs but the first wait for `bringup_nonboot_cpus`.
        boot_cpu: CPU 0 is told from the others, see `Linux`.
        second: CPUs that are not the first thread of their core.
    """
    state.cpus[0][BOOT_CPU] = boot_cpu
    for number, cpu in enumerate(state.cpus):
        cpu[SIBLING] = number in second
        down = number in offline
        if down or (later and number > 0):
            cpu[ONLINE] = cpu[ACTIVE] = False
            cpu[SMT_BLOCKED] = down and smt_blocked
            cpu[SMP_INIT] = not down


def varying(w: Linux, *, offline: bool, smt_blocked: bool, later: bool) -> list[Field]:
    """The fields that `starts_with` sets, CPU by CPU: they are part of the state although no step may assign them."""
    fields = [w.boot_cpu] if w.cpus_go_offline else []
    if w.has("smt_off"):
        fields.append(w.sibling)
    if later:
        fields.append(w.smp_init)
    if later or offline:
        fields += [w.online, w.active]
    if smt_blocked:
        fields.append(w.smt_blocked)
    return fields


def starts(
    w: Linux,
    offline: Callable[[Topology], frozenset[int]],
    *,
    down: bool = False,
    boots: Boots = "all",
    later: bool = False,
) -> None:
    """Say in which state the model of a kernel starts.

    Args:
        w: The fields.
        offline: The CPUs that the boot does not bring up.
        down: Whether there may be others than those that ``boots`` names.
        boots: See `kept_down`.
        later: The boot starts with one CPU, and `bringup_nonboot_cpus` starts the others.
    """
    nosmt = boots == "primaries"

    def start(state: State) -> None:
        topology = state.topology
        starts_with(
            state,
            offline(topology),
            smt_blocked=nosmt,
            later=not w.smp_init.constant,
            boot_cpu=not w.boot_cpu.constant,
            second=() if w.sibling.constant else siblings(topology),
        )

    w.model.starts(start, *varying(w, offline=down or boots != "all", smt_blocked=nosmt, later=later))
