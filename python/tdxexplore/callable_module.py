"""A wing whose name is also that of a function: ``tdxexplore.sweep(...)`` besides ``tdxexplore.sweep.load``.

Python binds a subpackage to its name in the package when it is first imported, and a function of this name would be replaced at
that moment. Instead, the module itself can be called; `ModuleType` may be subclassed for this (the language reference,
"Customizing module attribute access").
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def make_callable(name: str, function: Callable[..., Any]) -> None:
    """Let a module be called as a function.

    Args:
        name: Of the module, which is being imported.
        function: What is called.
    """

    class CallableModule(ModuleType):
        """A module that can be called."""

        __slots__ = ()
        __call__ = staticmethod(function)

    sys.modules[name].__class__ = CallableModule
