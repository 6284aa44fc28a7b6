"""The picture of the README: the designs argued about in April 2024, and the questions of that mail, on 4 CPUs, as SVG.

`make demo` asks the same; a test compares its words with these.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from tdxexplore import compare

if TYPE_CHECKING:
    import polars as pl

    from tdxexplore.tdx.fields import ModuleKind

POLICIES = (
    "v19",
    "inner-enable",
    "inner-enable-kvm-hook",
    "hook-after-kvm",
    "dyn-hook-if-enabled",
    "kvm-hook-lp-init",
    "hook-before-users",
    "linux-6.16",
    "linux-7.1",
)
QUESTIONS = {
    "late-online": ("an LP comes online", "after KVM was loaded"),
    "offline-mid-enable": ("a CPU goes offline", "meanwhile or later"),
    "no-kvm": ("KVM is unloaded", "for good"),
    "kvm-reload": ("KVM is unloaded", "and loaded again"),
    "second-enable": ("a second user calls", "tdx_enable()"),
}
MODULES: dict[ModuleKind, str] = {
    "strict": "a module that needs every LP",
    "subset": "a module that takes some of the LPs",
}
CPUS = 4

# Fill and text of each severity: told apart without colour by the text, and readable on white and on black.
_COLOURS = {
    "S0": ("#67000d", "#ffffff"),
    "S1": ("#cb181d", "#ffffff"),
    "S2": ("#ef6548", "#000000"),
    "S3": ("#fdbb84", "#000000"),
    "S4": ("#c6dbef", "#000000"),
    "ok": ("#c7e9c0", "#000000"),
}
_LEFT, _WIDE, _HIGH, _HEAD, _GAP = 168, 140, 22, 64, 6


def picture() -> str:
    """Ask, and draw the answers."""
    matrix = compare(POLICIES, modules=list(MODULES), scenarios=list(QUESTIONS), cpus=[CPUS]).matrix
    return svg(matrix)


def svg(matrix: pl.DataFrame) -> str:
    """A block for each module kind, a row for each design, a column for each question; a cell has its worst outcome."""
    cells = {(row["module"], row["policy"], row["scenario"]): row for row in matrix.iter_rows(named=True)}
    block = _HEAD + len(POLICIES) * _HIGH + 2 * _GAP
    width, height = _LEFT + len(QUESTIONS) * _WIDE + _GAP, len(MODULES) * block
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        f"<title>Worst outcome of each design and question, {CPUS} CPUs</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for number, (module, text) in enumerate(MODULES.items()):
        top = number * block
        parts.append(_text(_GAP, top + 16, f"{text} ({module}), {CPUS} CPUs", "bold"))
        for column, (scenario, lines) in enumerate(QUESTIONS.items()):
            left = _LEFT + column * _WIDE
            parts += [_text(left + 2, top + 34 + 14 * at, line) for at, line in enumerate(lines)]
            for row, policy in enumerate(POLICIES):
                parts.append(_cell(left, top + _HEAD - 8 + row * _HIGH, cells[module, policy, scenario]))
        parts += [_text(_GAP, top + _HEAD + 7 + row * _HIGH, name) for row, name in enumerate(POLICIES)]
    return "\n".join([*parts, "</svg>", ""])


def _text(x: int, y: int, text: str, weight: str = "normal", fill: str = "#000000") -> str:
    return f'<text x="{x}" y="{y}" font-weight="{weight}" fill="{fill}">{escape(text)}</text>'


def _cell(x: int, y: int, row: dict[str, object]) -> str:
    fill, ink = _COLOURS[str(row["severity"])]
    box = f'<rect x="{x}" y="{y}" width="{_WIDE - 2}" height="{_HIGH - 2}" fill="{fill}"/>'
    return box + _text(x + 6, y + 14, f"{row['severity']} {row['outcome']}", fill=ink)
