"""Faults of a Dask cluster: workers and the scheduler are killed while a sweep runs on it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from clusters import Cluster
from fault_lab import Done, ended, fault, undisturbed
from fault_processes import FINISHED, MANY, REST, WIDE
from sweeps import bytes_of, spec_file
from tdxexplore.errors import InternalError
from tdxexplore.sweep import cluster, load, sweep

if TYPE_CHECKING:
    import subprocess

    from fault_lab import Lab

PATIENCE = 2
"""Seconds, instead of the half minute of users."""


def _the_rest(lab: Lab, *, least: int) -> None:
    again = sweep(load(lab.spec), lab.out)
    assert least <= again.before < MANY
    assert again.before + again.finished == MANY
    assert bytes_of(lab.out) == undisturbed(WIDE)


@fault("kill -9 of all Dask workers, and new ones join", "", 0, "everything", "explores nothing", long=True)
def workers_are_replaced(lab: Lab) -> Done:
    spec = load(spec_file(lab.folder, WIDE))
    with ExitStack() as stack:
        started = Cluster(stack, lab.folder)
        first = started.workers("a", "b")
        second: list[subprocess.Popen[bytes]] = []
        executor = stack.enter_context(cluster.dask(started.address))

        def kill_half_way(_: object) -> None:
            if not second and len(lab.files("runs")) >= MANY // 2:
                for worker in first:
                    worker.kill()
                second.extend(started.workers("c", "d"))

        summary = sweep(spec, lab.out, executor=executor, report=kill_half_way)
        assert len(second) == 2
        assert all(worker.wait(10) == -9 for worker in first)
    assert (summary.finished, summary.failed) == (MANY, [])
    assert bytes_of(lab.out) == undisturbed(WIDE)
    return Done(0)


LOST = f"internal: the executor lost all workers, and none has joined within {PATIENCE} s"


@fault("kill -9 of all Dask workers, and none joins", LOST, 4, FINISHED, REST, long=True)
def workers_are_lost(lab: Lab) -> Done:
    lab.spec = spec_file(lab.folder, WIDE)
    before, said = cluster._WORKERS, "nothing"  # noqa: SLF001
    with ExitStack() as stack:
        started = Cluster(stack, lab.folder)
        workers = started.workers("a", "b")
        executor = stack.enter_context(cluster.dask(started.address))

        def kill(_: object) -> None:
            if len(lab.files("runs")) >= 3:
                for worker in workers:
                    worker.kill()

        cluster._WORKERS = PATIENCE  # noqa: SLF001
        try:
            sweep(load(lab.spec), lab.out, executor=executor, report=kill)
        except InternalError as error:
            said = str(error)
        finally:
            cluster._WORKERS = before  # noqa: SLF001
        assert all(worker.wait(10) == -9 for worker in workers)
    _the_rest(lab, least=3)
    return Done(4, "", f"internal: {said}")


KILLED = "error: internal: the executor lost a point: CancelledError"


@fault("kill -9 of the Dask scheduler", KILLED, 4, FINISHED, REST, long=True)
def scheduler_is_killed(lab: Lab) -> Done:
    lab.spec = spec_file(lab.folder, WIDE)
    with ExitStack() as stack:
        started = Cluster(stack, lab.folder)
        started.workers("a", "b")
        process = lab.start(*lab.sweep, "--dask", started.address, "--verbose")
        assert process.stderr is not None
        assert process.stderr.readline().startswith("[1/")
        started.scheduler.kill()
        done = ended(process)
    lines = [line for line in done.err.splitlines() if not line.startswith("[")]
    assert len(lines) == 1, done.err
    _the_rest(lab, least=1)
    return Done(done.code, done.out, ": ".join(lines[0].split(": ")[:5]))
