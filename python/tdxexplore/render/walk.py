"""A walk in the terminal: choose among the enabled steps, see locks and state, go back. With textual, which is an extra."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import App
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Footer, Header, OptionList, Static
from textual.widgets.option_list import Option

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from tdxexplore.explore.walk import Walk

_TRACE_COLUMNS = 40  # at least; otherwise what is left beside the options


class Walker(App[str]):
    """The trace on the left; what may happen next, locks and state on the right. Its result is the schedule.

    Args:
        walk: Where to begin.
    """

    CSS = """
    #trace { width: 3fr; border-right: solid $panel; padding: 0 1; }
    #side { width: 2fr; }
    #options { height: 1fr; border: none; }
    #state { height: 1fr; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[Binding | tuple[str, str] | tuple[str, str, str]]] = [
        Binding("b,backspace,left", "step_back", "Back"),
        Binding("n,right", "run_on", "To the next choice"),
        Binding("o", "outcomes", "Go to an outcome"),
        Binding("escape", "steps", "Steps", show=False),
        Binding("q", "save", "Quit, print the schedule"),
    ]

    def __init__(self, walk: Walk) -> None:
        super().__init__()
        self.walk_through = walk
        self.title = walk.trace.question.command("explore")
        self._ends: tuple[str, ...] = ()  # what the list shows instead of steps

    def compose(self) -> ComposeResult:
        """Lay the parts out."""
        yield Header()
        with Horizontal():
            with VerticalScroll(id="trace"):
                yield Static(id="steps", markup=False)
            with Vertical(id="side"):
                yield OptionList(id="options")
                with VerticalScroll(id="state"):
                    yield Static(id="fields", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """Show the start."""
        self.call_after_refresh(self.show)  # when the places have their sizes
        self.query_one("#options").focus()

    def on_resize(self) -> None:
        """Write the trace as wide as there is room."""
        self.call_after_refresh(self.show)

    def show(self) -> None:
        """Show the walk as it is now."""
        walk, options = self.walk_through, self.query_one("#options", OptionList)
        scroll = self.query_one("#trace", VerticalScroll)
        width = max(_TRACE_COLUMNS, scroll.size.width - 4)
        steps = walk.trace.to_text(width=min(width, 100)) if walk.trace.steps else "nothing has happened yet"
        self.query_one("#steps", Static).update(steps)
        said = self._ends or walk.options
        options.clear_options()
        options.add_options([Option(_plain(text)) for text in said])
        if said:
            options.highlighted = 0
        options.border_title = "go to" if self._ends else "next"
        locks = "\n".join(walk.locks) or "none"
        state = "\n".join(f"{name}: {value}" for name, value in walk.state) or "as at first"
        self.query_one("#fields", Static).update(f"Locks\n{locks}\n\nChanged since the start\n{state}")
        scroll.scroll_end(animate=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Take the step, or go to the outcome, that was chosen."""
        if self._ends:
            name, self._ends = self._ends[event.option_index], ()
            self.walk_through.jump(name)
        else:
            self.walk_through.choose(event.option_index)
        self.show()

    def action_step_back(self) -> None:
        """Take the last step back."""
        self._ends = ()
        self.walk_through.back()
        self.show()

    def action_run_on(self) -> None:
        """Go on to the next choice."""
        self._ends = ()
        self.walk_through.run_on()
        self.show()

    def action_outcomes(self) -> None:
        """List the outcomes to go to."""
        self._ends = self.walk_through.outcomes()
        self.show()

    def action_steps(self) -> None:
        """List the steps again."""
        self._ends = ()
        self.show()

    def action_save(self) -> None:
        """End with the schedule."""
        self.exit(self.walk_through.trace.schedule)


def _plain(text: str) -> str:
    """A text that says what it contains, brackets included."""
    return text.replace("[", r"\[")
