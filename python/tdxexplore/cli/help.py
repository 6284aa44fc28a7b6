"""``tdxexplore help``: short explanations."""

from __future__ import annotations

from tdxexplore.cli import exits
from tdxexplore.render.help import Topic, print_topic, print_topics


def help(*topic: str) -> int:  # noqa: A001 -- the command's name
    """Explain a topic, such as outcomes, counts or exit codes, or a name that an answer shows.

    Without a topic: list the topics.

    Args:
        topic: As `tdxexplore help` lists them, or the name of an outcome, an invariant, a scenario, a budget, a knob, a module
            kind or a policy.
    """
    codes = tuple((str(code), text) for code, text in exits.CODES.items())
    more = {
        "verdicts": Topic("Verdicts: the first that applies is given", tuple(exits.VERDICTS.items())),
        "exit-codes": Topic("Exit codes: what a script learns without reading", codes),
    }
    if topic:
        print_topic("-".join(topic), more)
    else:
        print_topics(more)
    return exits.HOLDS
