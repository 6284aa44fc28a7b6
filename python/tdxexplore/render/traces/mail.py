"""A trace as plain text for mail: 72 columns, numbered steps, a column an actor, and only the steps that bear on the end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tdxexplore.explore.lanes import ALIKE, MARK, decides, folded, happened, in_runs, span, wrapped
from tdxexplore.explore.slice import bearing
from tdxexplore.render.figures import circumstances

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tdxexplore.explore.steps import Blocker, TraceStep, Wait
    from tdxexplore.explore.trace import Trace

WIDTH = 72
_TEXT = 34  # at least, for the text of the last column
_WIDE = 30  # at most, from one column to the next


def mail(trace: Trace) -> str:
    """An excerpt of a trace, who waits for whom, and the command that replays all of it."""
    steps, key = bearing(trace), trace.question.asked()
    about = f"{key['policy']}, {circumstances(key)}"
    lines = [*folded(about, WIDTH), *folded(trace.ending, WIDTH), ""] if trace.ending else [*folded(about, WIDTH), ""]
    decisive = trace.decisive
    lines += _columns(steps, decisive)
    lines.append("")
    if decisive:
        lines += folded(f"{MARK} {decides(decisive)}", WIDTH)
    for wait in trace.waits:
        lines += [line for blocker in wait.blockers for line in folded(_waits(wait, blocker), WIDTH)]
    left_out = len(trace) - len(steps)
    if left_out:
        lines += folded(f"{left_out} of {len(trace)} steps do not bear on this and are left out.", WIDTH)
    return "\n".join([*(ascii_only(line) for line in lines), "", *_command(trace)])


def ascii_only(text: str) -> str:
    """A text with what is not ASCII escaped."""
    return text.encode("ascii", "backslashreplace").decode()


def _columns(steps: Sequence[TraceStep], decisive: int | None) -> Iterator[str]:
    """Names above, then a step in each line, set in as far as its actor's column; lines may reach into the next columns."""
    runs = list(in_runs(steps, ALIKE))
    lanes = list(dict.fromkeys(_lane(step, steps) for step in steps))
    digits = max((len(span("#", [step.number for step in run])) for run in runs), default=0) + 2
    apart = min(_WIDE, max(2, (WIDTH - digits - _TEXT) // max(len(lanes) - 1, 1)))
    at = {lane: digits + min(number * apart, WIDTH - digits - _TEXT // 2) for number, lane in enumerate(lanes)}
    heads = [""]
    for lane in lanes:
        if len(heads[-1]) >= at[lane] or at[lane] + len(lane) > WIDTH:
            heads.append("")
        heads[-1] = f"{heads[-1]:<{at[lane]}}{lane}"[:WIDTH]
    yield from heads
    for run in runs:
        lane = _lane(run[0], steps)
        cpus = [step.cpu for step in run if step.cpu is not None]
        said = happened(run[0])
        if cpus and f"CPU{cpus[0]}" not in lane.split("/"):
            said = f"{span('CPU', cpus)}: {said}"
        first, *rest = wrapped(said, WIDTH - at[lane])
        number = span("#", [step.number for step in run])
        mark = MARK if any(step.number == decisive for step in run) else " "
        yield f"{mark}{number:<{at[lane] - 1}}{first}"
        yield from (" " * at[lane] + line for line in rest)


def _lane(step: TraceStep, steps: Sequence[TraceStep]) -> str:
    """The column of a step: its actor, with the CPU if it is always the same."""
    cpus = {other.cpu for other in steps if other.actor == step.actor}
    return step.actor if len(cpus) > 1 or step.cpu is None else f"{step.actor}/CPU{step.cpu}"


def _waits(wait: Wait, blocker: Blocker) -> str:
    if not blocker.actor:
        return f"{_who(wait.actor, wait.cpu, wait.since)} waits for {blocker.what}, which nobody has changed"
    why = {"holds": f"which holds {blocker.what}", "has queued for": f"which has queued for {blocker.what}"}
    return (
        f"{_who(wait.actor, wait.cpu, wait.since)} waits for {_who(blocker.actor, blocker.cpu, blocker.number)}, "
        f"{why.get(blocker.why, f'which set {blocker.what}')}; it waits in {wait.step}"
    )


def _who(actor: str, cpu: int | None, number: int | None) -> str:
    return f"{actor}{'' if cpu is None else f'/CPU{cpu}'}{'' if number is None else f' #{number}'}"


def _command(trace: Trace) -> Iterator[str]:
    """The command in lines that a shell takes as one; the schedule is broken inside, and quoted where it has parentheses."""
    *words, schedule = re.findall(r"'[^']*'|\S+", ascii_only(trace.command))
    line = ""
    for word in words:
        if line and len(line) + 1 + len(word) > WIDTH - 2:
            yield f"{line} \\"
            line = f"  {word}"
        else:
            line = f"{line} {word}".lstrip() if line else word
    quoted = '"' if "(" in schedule else ""
    rest = f"{quoted}{trace.schedule}{quoted}"
    if len(line) + 1 + len(rest) <= WIDTH:
        yield f"{line} {rest}"
        return
    yield f"{line} \\"
    while len(rest) > WIDTH:
        yield f"{rest[: WIDTH - 1]}\\"
        rest = rest[WIDTH - 1 :]
    yield rest
