"""How this engine and the other checkers are run: each at its best settings, alone, measured from outside.

A run is a process; compiling a model is not part of it. What a checker says about its own search is read from its text:
Spin returns 0 after errors, and when its depth limit cut the search.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from processes import HERE, Limits, Missing, Run, Stopped, compiled, first_line, measured, number, tail
from tdxexplore import _core
from tdxexplore.export import Expected, Form, configuration, murphi, promela, tla

if TYPE_CHECKING:
    from pathlib import Path

    from tdxexplore.model import Program, State

JAR = HERE / ".peers/tla2tools.jar"
STATERIGHT = HERE / "stateright/target/release/tdxexplore-stateright"
THREADS = len(os.sched_getaffinity(0))
# For the C that Spin and Rumur write.
FASTEST = ("-O3", "-march=native")
UNOPTIMISED = ("-O0",)
# TLC's configurations, without and with symmetry reduction.
NAMES = {False: "Model", True: "Reduced"}
# Spin prints counts with eight digits.
_DIGITS = 8


@dataclass(frozen=True)
class OwnFigures:
    """The figures that this engine gives for its own search, without the start of the interpreter."""

    seconds: float
    stored: int
    generated: int
    state_bits: int
    memory_bytes: int


@dataclass(frozen=True)
class Found:
    """The findings of a checker; None where it does not say."""

    states: int
    transitions: int
    depth: int | None
    terminal: int | None
    run: Run
    own: OwnFigures | None = None

    def check(self, expected: Expected, who: str, *, reduced: bool = False) -> None:
        """Every count that the checker gives must be ours.

        With symmetry reduction these are the states: a checker fires the rules of each CPU of a state that it stores.
        """
        pairs = {
            "states": (self.states, expected.states),
            "transitions": (self.transitions, expected.transitions),
            "depth": (self.depth, expected.depth),
            "terminal": (self.terminal, sum(expected.terminal.values())),
        }
        if reduced:
            pairs = {"orbits": (self.states, expected.orbits)}
        for name, (theirs, ours) in pairs.items():
            assert theirs is None or f"{theirs:.{_DIGITS}g}" == f"{ours:.{_DIGITS}g}", (
                f"{who} found {theirs} {name}, not {ours}"
            )


class Case:
    """A model in a folder, in every form but Promela, which is not written for every number of CPUs.

    Args:
        name: For tables.
        program: What is explored.
        start: The initial state.
        folder: An empty folder.
    """

    def __init__(self, name: str, program: Program, start: State, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.cpus, self.packages = len(start.cpus), len(start.packages)
        initial = program.pack(start)
        engine = _core.Program(program.text)
        found = engine.explore(initial, threads=THREADS, measures=False)
        renamed = engine.explore(initial, threads=THREADS, measures=False, symmetry="all")
        expected = Expected.of(program, found, renamed)
        assert expected is not None
        self.expected = expected
        self.form = form = Form(program, start, expected)
        (folder / "program.json").write_text(program.text)
        (folder / "initial.json").write_text(initial)
        (folder / "model.m").write_text(murphi(form))
        (folder / "Model.tla").write_text(tla(form, "Model"))
        for reduced, module in NAMES.items():
            (folder / f"{module}.cfg").write_text(configuration(self.cpus, self.packages, symmetry=reduced))


class Checker(ABC):
    """One way to explore a case.

    Attributes:
        name: For tables.
        settings: What was chosen, in words.
        reduced: Whether it stores one state of those that differ only in the names of CPUs and packages.
    """

    name: ClassVar[str]
    settings: str
    reduced: bool = False

    @property
    def label(self) -> str:
        """Who runs, for tables."""
        return f"{self.name}, symmetry" if self.reduced else self.name

    @abstractmethod
    def version(self) -> str:
        """The installed version.

        Raises:
            Missing: There is none.
        """

    def build(self, case: Case) -> bool:
        """Compile the model; False if the checker reads it as it is."""
        return False

    @abstractmethod
    def find(self, case: Case, limits: Limits) -> Found:
        """Explore.

        Raises:
            Stopped: A limit was hit.
        """


class Engine(Checker):
    """This engine, without measures."""

    name = "tdxexplore"

    def __init__(self, space: str, threads: int, symmetry: str = "start") -> None:
        self.space = space
        self.symmetry = symmetry
        self.reduced = symmetry == "all"
        self.threads = threads
        how = f"--space {space}" + f" --symmetry {symmetry}" * (symmetry != "start")
        self.settings = f"{how}, {threads} thread{'s' * (threads > 1)}, no measures"

    @property
    def label(self) -> str:
        return self.settings.removesuffix(", no measures")

    def version(self) -> str:
        return _core.__version__

    def find(self, case: Case, limits: Limits) -> Found:
        found = self.run(case.folder, limits)
        return replace(found, states=found.own.stored) if self.reduced and found.own else found

    def run(self, folder: Path, limits: Limits) -> Found:
        """Explore what `program.json` and `initial.json` in a folder say."""
        how = [self.space, self.symmetry, str(self.threads)]
        command: list[str | Path] = [sys.executable, HERE / "engine.py", folder, *how]
        run = measured(command, folder, limits)
        found = json.loads(run.output)
        own = OwnFigures(
            found["seconds"], found["explored"], found["generated"], found["state_bits"], found["memory_bytes"]
        )
        return Found(found["states"], found["transitions"], found["depth"], None, run, own)


class Spin(Checker):
    """Spin: every state stored, depth first, as its other searches are not faster (`settings.py`)."""

    name = "Spin"

    def __init__(
        self,
        *flags: str,
        optimise: tuple[str, ...] = FASTEST,
        reduce: bool = False,
        count_terminal: bool = False,
    ) -> None:
        self.flags = (*optimise, "-DSAFETY", "-DNOBOUNDCHECK", *(() if reduce else ("-DNOREDUCE",)), *flags)
        self.count_terminal = count_terminal
        self.settings = (
            f"spin -a -o2; cc {' '.join(self.flags)} -DMEMLIM=<memory>; "
            "pan -m100000 -w<log2 of the states> -E; one thread"
        )

    def version(self) -> str:
        return first_line(["spin", "-V"])

    def build(self, case: Case) -> bool:
        folder = case.folder / "spin"
        folder.mkdir(exist_ok=True)
        (case.folder / "model.pml").write_text(promela(case.form))
        compiled(["spin", "-a", "-o2", "../model.pml"], folder)
        memory = Limits().memory >> 20
        compiled(["cc", "-w", *self.flags, f"-DMEMLIM={memory}", "-o", "pan", "pan.c"], folder)
        return True

    def find(self, case: Case, limits: Limits) -> Found:
        table = min(30, max(16, math.ceil(math.log2(case.expected.states))))
        ends = "-c0" if self.count_terminal else "-E"
        run = measured(["./pan", "-m100000", f"-w{table}", ends], case.folder / "spin", limits)
        if "max search depth too small" in run.output or "not completed" in run.output or "pan: out of" in run.output:
            raise Stopped(tail(run.output))
        errors = int(number(r"errors: (\d+)", run.output))
        assert self.count_terminal or not errors, tail(run.output)
        return Found(
            int(number(r"(\S+) states, stored", run.output)),
            int(number(r"(\S+) transitions", run.output)) - 1,
            None,
            errors if self.count_terminal else None,
            run,
        )


class Rumur(Checker):
    """Rumur, the faster of the Murphi family."""

    name = "Rumur"

    def __init__(
        self,
        *options: str,
        symmetry: Literal["off", "heuristic", "exhaustive"] = "off",
        optimise: tuple[str, ...] = FASTEST,
        threads: int = THREADS,
    ) -> None:
        self.reduced = symmetry != "off"
        self.flags = ("-std=c11", *optimise, "-mcx16", "-DNDEBUG")
        off = [f"--{what}=off" for what in ("deadlock-detection", "counterexample-trace")]
        off += ["--scalarset-schedules=off"] * self.reduced
        self.options = (f"--symmetry-reduction={symmetry}", *off, f"--threads={threads}", *options)
        self.settings = (
            f"rumur {' '.join(self.options)} --set-capacity <16 bytes a state>; cc {' '.join(self.flags)}; "
            f"{threads} thread{'s' * (threads > 1)}"
        )

    def version(self) -> str:
        return first_line(["rumur", "--version"])

    def inexact(self, case: Case) -> bool:
        """Whether it would store more than one state of an orbit."""
        return "--symmetry-reduction=heuristic" in self.options and case.packages > 1

    def build(self, case: Case) -> bool:
        if self.inexact(case):
            return False
        folder = case.folder / NAMES[self.reduced]
        folder.mkdir(exist_ok=True)
        capacity = max(1 << 23, 16 * (case.expected.orbits if self.reduced else case.expected.states))
        options = [*self.options, "--set-capacity", str(capacity), "--output", "model.c", "../model.m"]
        compiled(["rumur", *options], folder)
        compiled(["cc", "-w", *self.flags, "-o", "rumured", "model.c", "-lpthread"], folder)
        return True

    def find(self, case: Case, limits: Limits) -> Found:
        if self.inexact(case):
            raise Stopped("its heuristic is exact on one package only")
        run = measured(["./rumured"], case.folder / NAMES[self.reduced], limits)
        if "No error found" not in run.output:
            raise Stopped(tail(run.output))
        states, transitions = (
            number(r"(\d+) states, \d+ rules", run.output),
            number(r"(\d+) rules fired in", run.output),
        )
        return Found(int(states), int(transitions), None, None, run)


class Tlc(Checker):
    """TLC."""

    name = "TLC"

    def __init__(
        self, *, workers: int = THREADS, fingerprints: str | None = "OffHeapDiskFPSet", symmetry: bool = False
    ) -> None:
        self.reduced = symmetry
        self.workers = workers
        self.properties = [] if fingerprints is None else [f"-Dtlc2.tool.fp.FPSet.impl=tlc2.tool.fp.{fingerprints}"]
        self.settings = (
            "java -XX:+UseParallelGC -Xmx<1/4 of memory> -XX:MaxDirectMemorySize=<1/4 of memory> "
            f"{' '.join(self.properties)}; -workers {workers} -deadlock -checkpoint 0"
            + "; SYMMETRY Symmetry"
            * symmetry
        )

    def version(self) -> str:
        if not JAR.exists() or shutil.which("java") is None:
            raise Missing("TLC")
        done = subprocess.run(["java", "-cp", JAR, "tlc2.TLC"], capture_output=True, text=True, check=False)
        java = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True).stderr
        return f"{done.stdout.splitlines()[0]}, {java.splitlines()[0]}"

    def find(self, case: Case, limits: Limits) -> Found:
        quarter = limits.memory >> 22
        command = ["java", "-XX:+UseParallelGC", f"-Xmx{quarter}m", f"-XX:MaxDirectMemorySize={quarter}m"]
        command += [*self.properties, "-cp", str(JAR), "tlc2.TLC"]
        command += ["-workers", str(self.workers), "-deadlock", "-checkpoint", "0", "-metadir", "tlc"]
        command += ["-config", f"{NAMES[self.reduced]}.cfg", "Model.tla"]
        run = measured(command, case.folder, Limits(limits.seconds, 0))
        shutil.rmtree(case.folder / "tlc", ignore_errors=True)
        if "Java ran out of memory" in run.output:
            raise Stopped("out of memory")
        if "No error has been found" not in run.output:
            raise Stopped(tail(run.output))
        pairs = re.findall(r"(\d+) states generated, (\d+) distinct states found, 0 states left", run.output)
        # With several workers TLC's depth is that of whichever found a state first.
        depth = int(number(r"search is (\d+)", run.output)) - 1 if self.workers == 1 else None
        return Found(int(pairs[-1][1]), int(pairs[-1][0]) - 1, depth, None, run)


class Stateright(Checker):
    """Stateright, which interprets the Program."""

    name = "Stateright"

    def __init__(self, *, threads: int = THREADS, symmetry: bool = False) -> None:
        self.reduced = symmetry
        self.threads = threads
        search = "symmetry_fn (CPUs and packages sorted), spawn_dfs" if symmetry else "spawn_bfs"
        self.settings = f"benches/stateright, release, lto; {search}, {threads} thread{'s' * (threads > 1)}"

    def version(self) -> str:
        if not STATERIGHT.exists():
            raise Missing("Stateright")
        lock = (HERE / "stateright/Cargo.lock").read_text()
        return str(re.findall(r'name = "stateright"\nversion = "(.*)"', lock)[0])

    def find(self, case: Case, limits: Limits) -> Found:
        symmetry = "on" if self.reduced else "off"
        run = measured([STATERIGHT, "program.json", "initial.json", str(self.threads), symmetry], case.folder, limits)
        try:
            found = json.loads(run.output)
        except ValueError:
            raise Stopped(tail(run.output)) from None
        return Found(found["states"], found["transitions"], None, None, run)
