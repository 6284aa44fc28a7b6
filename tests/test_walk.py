"""Walking through the interleavings by hand, and the terminal application that does so."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from tdxexplore import Question, cli, replay
from tdxexplore.errors import BadModel
from tdxexplore.explore.walk import Walk
from tdxexplore.render.walk import Walker

DEADLOCK = Question.of("dyn-hook-if-enabled", scenario="offline-mid-enable", cpus=2)


def test_a_walk_is_the_replay_of_its_schedule_and_back_is_where_it_was() -> None:
    random, walk, before = Random(4), Walk(DEADLOCK), []
    while walk.options:
        before.append((walk.trace.schedule, walk.state, walk.locks))
        walk.choose(random.randrange(len(walk.options)))
        assert walk.trace.steps == replay(DEADLOCK, walk.trace.schedule).steps
    assert walk.trace.outcome is not None
    assert len(before) >= 10
    for schedule, state, locks in reversed(before):
        walk.back()
        assert (walk.trace.schedule, walk.state, walk.locks) == (schedule, state, locks)
    walk.back()
    assert walk.trace.schedule == ""


def test_running_on_ends_at_a_choice_or_at_the_end() -> None:
    walk, stops = Walk(DEADLOCK), 0
    while walk.options:
        walk.run_on()
        assert len(walk.options) != 1
        stops += 1
    assert stops > 2


def test_a_jump_goes_to_the_outcome_where_its_locks_and_state_can_be_seen() -> None:
    walk = Walk(DEADLOCK)
    assert "deadlock" in walk.outcomes()
    walk.jump("deadlock")
    assert walk.trace.outcome == "deadlock"
    assert "cpu_hotplug_lock: kvm" in walk.locks
    assert ("vmx_on [CPU 0]", True) in walk.state
    with pytest.raises(BadModel, match="`deadlok` is not reached; did you mean `deadlock`"):
        walk.jump("deadlok")
    with pytest.raises(BadModel, match="option is 7; there are 0 options"):
        walk.choose(7)


def test_the_application_walks_and_gives_the_schedule() -> None:
    async def walk() -> tuple[str | None, str]:
        app = Walker(Walk(DEADLOCK))
        async with app.run_test(size=(120, 40)) as pilot:
            await pilot.press("enter")  # the first option
            await pilot.press("n", "o")
            await pilot.press("enter")  # the worst outcome
            await pilot.pause()
            shown = str(app.query_one("#steps").render())
            await pilot.press("b", "q")
        return app.return_value, shown

    schedule, shown = asyncio.run(walk())
    assert "outcome: deadlock (S1): an actor waits for ever" in shown
    expected = Walk(DEADLOCK)
    expected.jump("deadlock")
    expected.back()
    assert schedule == expected.trace.schedule


def test_without_a_terminal_it_says_what_to_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["explore", "v19", "--cpus", "2"]) == 2
    assert "`explore` needs a terminal; `replay` prints" in capsys.readouterr().err
