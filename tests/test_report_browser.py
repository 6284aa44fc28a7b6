"""The report in a real browser: cells open, filters and steps work, and nothing leaves the page."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from reports import ODD, Odd, data_of, small
from tdxexplore.report import write
from tdxexplore.report.page import page as page_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Dialog, Page

pytestmark = pytest.mark.long

SIZES = {"desktop": (1366, 900), "phone": (390, 844)}
CELL = '[aria-label^="dyn-hook-if-enabled, offline-mid-enable, subset, 3 CPUs"]'


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("browser")
    written = write(small(root / "tables"), root / "page.html", policies=[Odd], why=20)
    assert written.traces > 20
    return root / "page.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 -- the short tests do without

    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Chromium is not installed: `make test-long` installs it where it can, or apt-get install chromium")
    with sync_playwright() as playwright:
        # As root, which a container is, Chromium runs without its sandbox only.
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


class Watched:
    """A page in which nothing may go wrong."""

    def __init__(self, browser: Browser, path: Path, **settings: Any) -> None:
        self.requests: list[str] = []
        self.wrong: list[str] = []
        self._context = browser.new_context(**settings)
        self.page: Page = self._context.new_page()
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.wrong.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", self._refuse)
        self.page.goto(path.as_uri())
        self.address = path.as_uri()

    def _refuse(self, dialog: Dialog) -> None:
        self.wrong.append(f"alert: {dialog.message}")
        dialog.dismiss()

    def close(self) -> None:
        """Nothing was said on the console, and nothing but the file was asked for."""
        self._context.close()
        assert self.wrong == []
        assert {url.partition("#")[0] for url in self.requests} == {self.address}


@pytest.fixture(params=SIZES)
def page(request: pytest.FixtureRequest, browser: Browser, html: Path) -> Iterator[Page]:
    width, height = SIZES[request.param]
    watched = Watched(browser, html, viewport={"width": width, "height": height})
    yield watched.page
    watched.close()


def opened(page: Page) -> bool:
    return page.locator("dialog").evaluate("dialog => dialog.open") is True


def current(page: Page) -> int:
    """The row of the trace that is shown."""
    return int(page.locator("[aria-current=step]").get_attribute("data-row") or -1)


def shown(page: Page) -> int:
    return page.locator("figure .cell:not(.dimmed)").count()


def test_a_cell_opens_by_click_and_closes(page: Page) -> None:
    page.locator(CELL).click()
    assert opened(page)
    assert page.locator("#cell-head").inner_text() == "dyn-hook-if-enabled · offline-mid-enable"
    said = page.locator("dialog").inner_text()
    for words in (
        "violated",
        "deadlock",
        "an actor waits for ever",
        "Waiting for ever",
        "What else could have happened",
    ):
        assert words in said
    assert "Shortest trace, on 2 CPUs: the fewest at which this occurs" in said
    commands = page.locator("dialog .command code").all_inner_texts()
    check = "dyn-hook-if-enabled --module subset --cpus 3 --scenario offline-mid-enable"
    assert f"tdxexplore check {check}" in commands
    assert any(command.startswith(f"tdxexplore replay {check} ") for command in commands)
    page.keyboard.press("Escape")
    assert not opened(page)
    page.locator(CELL).click()
    page.get_by_role("button", name="Close").click()
    assert not opened(page)


def test_the_cell_says_why(page: Page) -> None:
    page.locator(CELL).click()
    why = page.get_by_role("region", name="Why")
    said = why.inner_text()
    assert said.startswith("Why, on 2 CPUs\n")
    for words in ("A run ends so if and only if", "share 0.", "probability", "Decided by", "Re-checked on all runs"):
        assert words in said
    assert why.locator("li .tag").all_inner_texts() == ["necessary", "necessary"]
    # Nothing of it is wider than the panel.
    assert why.evaluate("one => one.scrollWidth <= one.clientWidth")
    # A good outcome has none.
    page.locator("dialog [data-finding]").last.click()
    assert why.count() == 0


def test_the_keyboard_alone_finds_and_opens_a_cell(page: Page) -> None:
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.cell')"):
            break
    first = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert first.startswith("v19, late-online")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert label.startswith("dyn-hook-if-enabled, offline-mid-enable, strict")
    page.keyboard.press("Enter")
    assert opened(page)
    assert current(page) == 0
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert current(page) == 2
    page.keyboard.press("ArrowUp")
    assert current(page) == 1
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == label


def test_stepping_shows_each_step(page: Page) -> None:
    page.locator(CELL).click()
    rows = page.locator(".rows li")
    count = rows.count()
    assert count > 10
    assert page.get_by_role("button", name="previous step").is_disabled()
    heads = []
    for at in range(count):
        assert current(page) == at
        heads.append(page.locator(".side h4").inner_text())
        if at < count - 1:
            page.get_by_role("button", name="next step").click()
    assert len(set(heads)) == count
    assert heads[0].startswith(f"Step 1 of {count}: ")
    assert page.get_by_role("button", name="next step").is_disabled()
    page.get_by_role("button", name="first step").click()
    assert current(page) == 0
    rows.nth(4).click()
    assert current(page) == 4
    page.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")
    assert current(page) == 5
    # Two bars for one who holds cpus_read_lock() twice: a dot for each row.
    assert page.locator(".lanes .dot").count() == count
    assert page.locator(".lanes .bar").count() >= 3


def test_each_finding_has_its_trace(page: Page) -> None:
    page.locator(CELL).click()
    buttons = page.locator("[data-finding]")
    names = buttons.all_inner_texts()
    assert len(names) >= 2
    for at, name in enumerate(names):
        buttons.nth(at).click()
        assert buttons.nth(at).get_attribute("aria-pressed") == "true"
        assert name in page.locator(".shown h3").first.inner_text()
        assert page.locator(".rows li").count() > 3


def test_filters_work_together(page: Page) -> None:
    everything = shown(page)
    assert everything == 16  # four policies, two scenarios and module kinds, at 3 CPUs
    page.locator("#policy").select_option("v19")
    assert shown(page) == 4
    page.locator("#module").select_option("subset")
    assert shown(page) == 2
    page.locator("#scenario").select_option("late-online")
    assert shown(page) == 1
    assert page.locator("#count").inner_text().startswith("2 of 32 points shown")
    page.get_by_role("button", name="Clear").click()
    assert shown(page) == everything
    page.get_by_label("Text").fill("DEADLOCK")
    assert 0 < shown(page) < everything
    page.get_by_label("Text").fill("no such word")
    assert page.get_by_text("No cell fits these filters.").is_visible()
    page.get_by_role("button", name="Clear").click()
    page.locator('[data-severity="S1"]').click()
    assert page.locator("figure .cell:not(.dimmed) .sev").all_inner_texts() == ["S1"] * shown(page) != []


def test_small_maps_choose_the_cpu_count(page: Page) -> None:
    small_maps = page.locator("[data-small]")
    assert small_maps.count() == 4
    assert page.locator("figcaption").all_inner_texts() == ["module kind strict, 3 CPUs", "module kind subset, 3 CPUs"]
    page.get_by_role("button", name="subset, 2 CPUs").click()
    assert page.locator("figcaption").all_inner_texts() == ["module kind strict, 2 CPUs", "module kind subset, 2 CPUs"]
    assert page.evaluate("document.activeElement.dataset.small") == "2"


def test_names_with_markup_are_seen_as_they_are(page: Page) -> None:
    assert page.locator("figure tbody th").filter(has_text=ODD).count() == 2
    page.locator("figure tbody tr").filter(has_text=ODD).first.locator(".cell").first.click()
    assert ODD in page.locator("#cell-head").inner_text()
    assert "This policy is not built in" in page.locator("dialog").inner_text()
    page.keyboard.press("Escape")
    page.locator('[aria-label^="odd, late-online, subset, 3 CPUs"]').click()
    page.get_by_role("button", name="Steps and sources of").click()
    assert not opened(page)
    assert page.get_by_text(Odd.title, exact=False).first.is_visible()
    assert page.locator("img").count() == 0


def test_a_link_opens_its_cell(browser: Browser, html: Path) -> None:
    watched = Watched(browser, html)
    watched.page.locator(CELL).click()
    link = watched.page.evaluate("location.hash")
    assert link.startswith("#dyn-hook-if-enabled/subset/offline-mid-enable/")
    watched.page.goto("about:blank")
    watched.page.goto(f"{html.as_uri()}{link}")
    assert opened(watched.page)
    watched.requests = [url for url in watched.requests if url != "about:blank"]
    watched.close()


def test_light_and_dark(browser: Browser, html: Path) -> None:
    seen = {}
    for scheme in ("light", "dark"):
        watched = Watched(browser, html, color_scheme=scheme)
        background = "getComputedStyle(document.body).backgroundColor"
        first = watched.page.evaluate(background)
        watched.page.locator("#theme").click()
        seen[scheme] = (first, watched.page.evaluate(background))
        watched.close()
    assert seen["light"] == seen["dark"][::-1]
    assert len(set(seen["light"])) == 2


def test_nothing_is_wider_than_a_phone_and_print_shows_the_cell(browser: Browser, html: Path) -> None:
    watched = Watched(browser, html, viewport={"width": 390, "height": 844})
    wide = "document.documentElement.scrollWidth - innerWidth"
    assert watched.page.evaluate(wide) <= 0
    watched.page.locator(CELL).click()
    assert watched.page.evaluate(wide) <= 0
    assert watched.page.evaluate("document.querySelector('.body').scrollWidth - innerWidth") <= 0
    watched.page.emulate_media(media="print")
    assert not watched.page.locator(".stepper").is_visible()
    assert not watched.page.locator("main").is_visible()
    assert watched.page.locator(".ending").first.is_visible()
    watched.close()


def test_three_hundred_rows_with_long_names(browser: Browser, html: Path, tmp_path: Path) -> None:
    data = data_of(html.read_text())
    long = "a_function_with_a_name_that_does_not_end_" * 8
    data["texts"].append(long)
    trace = max(data["traces"], key=lambda one: len(one[5]))
    rows = trace[5] * (1 + 300 // len(trace[5]))
    for n, row in enumerate(rows := [list(row) for row in rows][:300]):
        row[0] = str(n + 1)
        row[4] = len(data["texts"]) - 1 if n % 7 == 0 else row[4]
    data["traces"] = [
        [*trace[:4], [f"{name}-{long[:60]}" for name in trace[4]], rows, trace[6]] for _ in data["traces"]
    ]
    (tmp_path / "long.html").write_text(page_of(data, "long"))
    for width, height in SIZES.values():
        watched = Watched(browser, tmp_path / "long.html", viewport={"width": width, "height": height})
        watched.page.locator(CELL).click()
        assert watched.page.locator(".rows li").count() == 300
        watched.page.get_by_role("button", name="last step").click()
        assert current(watched.page) == 299
        box = watched.page.locator("[aria-current=step]").bounding_box()
        assert box is not None
        assert 0 <= box["y"] < height
        assert watched.page.evaluate("document.querySelector('.body').scrollWidth - innerWidth") <= 0
        watched.close()


def test_an_empty_data_set_says_so(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "data" / "runs").mkdir(parents=True)
    write(tmp_path / "data", tmp_path / "empty.html")
    watched = Watched(browser, tmp_path / "empty.html")
    assert "Nothing has been explored yet" in watched.page.locator("#count").inner_text()
    assert watched.page.locator("figure").count() == 0
    watched.close()
