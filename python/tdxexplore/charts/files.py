"""A chart as a file: SVG, PNG, or an HTML page that holds all it needs. No browser is started, and no network asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tdxexplore.errors import BadModel, MissingExtra

if TYPE_CHECKING:
    from pathlib import Path

FORMATS = (".svg", ".png", ".html")
_SCALE = 2.0  # pixels of a PNG for each of the chart


def save(chart: Any, path: Path) -> None:  # noqa: ANN401 -- a chart of altair
    """Write a chart. No reader sees a part of the file.

    Raises:
        BadModel: The name does not end in one of `FORMATS`.
        MissingExtra: What renders a chart is not installed.
        OSError: The file cannot be written.
    """
    check(path)
    if path.suffix == ".svg":
        data = svg(chart)
    elif path.suffix == ".png":
        data = _converter().vegalite_to_png(chart.to_json(), scale=_SCALE)
    else:
        data = _converter().vegalite_to_html(chart.to_json(), bundle=True).encode()
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def svg(chart: Any) -> bytes:  # noqa: ANN401 -- a chart of altair
    """A chart as SVG.

    Raises:
        MissingExtra: What renders a chart is not installed.
    """
    data: bytes = _converter().vegalite_to_svg(chart.to_json()).encode()
    return data


def _converter() -> Any:  # noqa: ANN401 -- a module
    try:
        import vl_convert  # noqa: PLC0415 -- an extra
    except ImportError:
        raise MissingExtra("a chart", "report") from None
    return vl_convert


def check(path: Path) -> None:
    """See to it that a file's name says its form.

    Raises:
        BadModel: It does not.
    """
    if path.suffix not in FORMATS:
        raise BadModel(f"--plot is `{path}`; its name must end in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
