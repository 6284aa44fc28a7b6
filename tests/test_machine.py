"""How much memory a process may still use, on machines and in cgroups of either version that are folders here."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import pytest

import tdxexplore
from tdxexplore.explore import engine
from tdxexplore.explore.machine import MACHINE, free_memory, memory_limit, resident

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GIB = 1 << 30


def machine(root: Path, cgroup: str, files: dict[str, str]) -> tuple[Path, Path]:
    (root / "proc" / "self").mkdir(parents=True)
    (root / "proc" / "meminfo").write_text("MemTotal: 9999999 kB\nMemAvailable:    8388608 kB\n")
    (root / "proc" / "self" / "cgroup").write_text(cgroup)
    for name, text in files.items():
        path = root / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root / "proc", root / "cgroup"


@pytest.mark.parametrize(
    ("cgroup", "files", "free"),
    [
        ("0::/\n", {}, 8 * GIB),
        ("0::/a/b\n", {"a/b/memory.max": "max\n", "a/b/memory.current": "1\n"}, 8 * GIB),
        ("0::/a/b\n", {"a/memory.max": f"{3 * GIB}\n", "a/memory.current": f"{GIB}\n"}, 2 * GIB),
        (
            "0::/a\n",
            {
                "a/memory.max": f"{3 * GIB}\n",
                "a/memory.current": f"{2 * GIB}\n",
                "a/memory.stat": f"anon 7\ninactive_file {GIB}\n",
            },
            2 * GIB,
        ),
        (
            "3:cpu,memory:/x\n2:pids:/\n",
            {"memory/x/memory.limit_in_bytes": f"{GIB}\n", "memory/x/memory.usage_in_bytes": "0\n"},
            GIB,
        ),
        ("0::/a\n", {"a/memory.max": f"{GIB}\n", "a/memory.current": f"{2 * GIB}\n"}, 0),
        ("0::/a\n", {"a/memory.max": "soon\n", "a/memory.current": "1\n"}, 8 * GIB),
    ],
)
def test_the_least_of_machine_and_cgroups_is_free(
    cgroup: str, files: dict[str, str], free: int, tmp_path: Path
) -> None:
    assert free_memory(*machine(tmp_path, cgroup, files)) == free


def test_a_system_that_says_nothing_sets_no_limit(tmp_path: Path) -> None:
    assert free_memory(tmp_path, tmp_path) is None


@pytest.fixture
def addresses() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_AS)
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.usefixtures("addresses")
def test_a_limit_on_addresses_is_one_on_memory_or_refuses_the_search() -> None:
    free = memory_limit(1)
    assert free is not None
    assert memory_limit(1, share=0.25) == pytest.approx(free / 4, rel=0.2)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (64 * GIB, hard))
    assert (memory_limit(1) or 0) <= 64 * GIB * 0.4
    assert memory_limit(1, asked=GIB) == GIB
    room = memory_limit(1, asked=1000 * GIB)
    assert 0 < (room or 0) <= 64 * GIB * 0.4
    assert memory_limit(1, share=0.25, asked=1000 * GIB) == pytest.approx((room or 0) / 4, rel=0.01)
    resource.setrlimit(resource.RLIMIT_AS, (resident(), hard))
    with pytest.raises(
        MemoryError, match=r"`ulimit -v` leaves 0 MiB of addresses; [\d,]+ MiB are needed for 2 threads"
    ):
        memory_limit(2)


def test_the_default_limit_ends_a_search_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "memory_limit", lambda *_: 1024)
    answer = tdxexplore.check("v19", cpus=8, scenario="late-online")
    assert (answer.verdict, answer.reason) == ("incomplete", f"{MACHINE} 1024 bytes")
    answer = tdxexplore.check("v19", cpus=8, scenario="late-online", max_memory="1G")
    assert (answer.verdict, answer.reason) == ("incomplete", f"{MACHINE} 1024 bytes")
    answer = tdxexplore.check("v19", cpus=8, scenario="late-online", max_memory=1024)
    assert answer.reason == "max-memory 1024 bytes"


def test_what_a_search_is_given_counts_whatever_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tdxexplore.explore.machine.free_memory", lambda: 1)
    assert (memory_limit(1), memory_limit(1, asked=GIB)) == (1, GIB)
    assert tdxexplore.check("v19", cpus=8, scenario="late-online", max_memory="1G").complete
