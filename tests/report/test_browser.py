"""The report in headless Chromium: sorting, filtering, themes, plots and the image viewer, as people use them."""

from __future__ import annotations

import io
import math
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from tokbench.catalog import Catalog, discover
from tokbench.engine.timeline import Span
from tokbench.engine.trace import trace
from tokbench.report.build import build_report
from tokbench.report.stages import breakdown
from tokbench.report.timeline import timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tokbench.results.results import Results

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed (pip install playwright)"
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (apt-get install chromium)")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


@pytest.fixture
def visit(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Open a page from disk; at the end, nothing may have gone wrong or been asked of a network."""
    trouble: list[str] = []
    contexts = []

    def open_page(text: str, width: int = 1280, scheme: str = "light") -> Any:
        file = tmp_path / "report.html"
        file.write_text(text)
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("console", lambda message: trouble.append(message.text))
        page.on("dialog", lambda dialog: trouble.append("dialog"))
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith(("file:", "data:", "blob:")) else trouble.append(request.url)
            ),
        )
        page.goto(file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert trouble == []


@pytest.fixture(scope="module")
def report(small_run: Results, images: Path) -> str:
    sets = {"images:small": str(images)}
    return build_report([small_run], discover(), images=4, image_sets=sets, device="cpu")[0]


def _names(page: Any) -> list[str]:
    return page.locator("#table tbody tr:visible .open").all_inner_texts()


def test_columns_sort_by_click_and_by_key(
    visit: Callable[..., Any], make_results: Any, make_row: Any
) -> None:
    results = make_results(4, 1, 20, shards=False)
    changes: list[dict[str, Any]] = [
        {},
        {},
        {"reliable": False, "reason": "too few"},
        {"status": "unsupported"},
    ]
    rows = [
        make_row(f"t{number}", "metric_0", value, **change)
        for number, (value, change) in enumerate(zip([1.0, 2.0, 9.0, math.nan], changes, strict=True))
    ]
    page = visit(build_report([_with(results, rows)], Catalog(), images=0)[0])
    header = page.locator("#table th[data-place='0']")
    assert header.get_attribute("aria-sort") == "descending"
    assert _names(page) == ["t1", "t0", "t2", "t3"]
    before = page.locator("#table table").screenshot()
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    assert _names(page) == ["t0", "t1", "t2", "t3"]
    page.locator("#table th.name button").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("#table thead th.name").get_attribute("aria-sort") == "ascending"
    assert header.get_attribute("aria-sort") == "none"
    header.get_by_role("button").focus()
    page.keyboard.press("Enter")
    page.evaluate("document.activeElement.blur()")
    page.mouse.move(0, 0)
    assert _inside(page.locator("#table table").screenshot()) == _inside(before)
    assert page.locator("td.loose").inner_text().startswith("~")
    assert page.locator("td.best").count() == 0
    assert "too few" in page.locator("#table .notes").inner_text()


def _inside(png: bytes) -> bytes:
    """Pixels without the left edge, where the name that stays put meets the edge of its box in fractions of a pixel."""
    with Image.open(io.BytesIO(png)) as image:
        return image.convert("RGB").crop((4, 0, *image.size)).tobytes()


def _with(results: Results, rows: list[Any]) -> Results:
    from dataclasses import replace

    return replace(results, rows=tuple(rows))


def test_lines_and_columns_are_chosen(visit: Callable[..., Any], report: str) -> None:
    page = visit(report)
    page.get_by_label("Filter tokenizers").fill("jpeg")
    assert _names(page) == ["jpeg-q50"]
    page.get_by_label("Filter tokenizers").fill("")
    assert len(_names(page)) == 3
    shown = page.locator("#table thead th:visible").count()
    page.locator(".chooser summary").click()
    page.locator(".chooser [data-column]").first.uncheck()
    assert page.locator("#table thead th:visible").count() == shown - 1
    page.get_by_role("button", name="jpeg-q50").click()
    assert "95 % interval" in page.locator(".detail").inner_text()
    assert page.evaluate("document.activeElement.textContent") == "jpeg-q50"
    page.select_option("#pick-task", label="tokens")
    assert page.locator("#table th[data-place]", has_text="entropy").count() > 0


def test_plots_answer_to_keys_and_to_the_table(visit: Callable[..., Any], report: str) -> None:
    page = visit(report)
    points = page.locator("#rate circle")
    assert points.count() >= 2
    points.first.focus()
    assert "psnr" in page.locator("#tip").inner_text()
    page.keyboard.press("Escape")
    assert page.locator("#tip").is_hidden()
    curves = page.locator("#spread path.curve")
    before = curves.count()
    page.get_by_label("draw vq-patch-8").uncheck()
    assert curves.count() == before - 1
    page.get_by_role("button", name="cumulative").click()
    assert page.locator("#spread text", has_text="at or below").count() == 1


def test_themes_follow_the_system_and_the_button(visit: Callable[..., Any], report: str) -> None:
    page = visit(report)
    ground = "getComputedStyle(document.body).backgroundColor"
    header = page.locator("header.top .brand")
    light, shot = page.evaluate(ground), header.screenshot()
    button = page.locator("#theme")
    button.click()
    assert page.evaluate(ground) != light
    assert header.screenshot() != shot
    assert button.get_attribute("aria-label") == "Colour theme: dark"
    button.click()
    button.click()
    assert page.evaluate(ground) == light
    assert header.screenshot() == shot
    dark = visit(report, scheme="dark")
    assert dark.evaluate(ground) != light
    dark.emulate_media(media="print", color_scheme="dark")
    assert dark.evaluate(ground) == "rgb(255, 255, 255)"
    assert dark.locator("nav").is_hidden()


def test_panes_zoom_and_pan_together(visit: Callable[..., Any], report: str) -> None:
    page = visit(report)
    page.locator("#images").scroll_into_view_if_needed()
    stage = page.locator(".stage")
    assert stage.get_attribute("data-scale") == "1.00"
    page.get_by_label("zoom in").click()
    page.get_by_label("zoom in").click()
    assert stage.get_attribute("data-scale") == "2.25"
    port = page.locator(".port").first
    port.focus()
    page.keyboard.press("ArrowRight")
    moves = page.eval_on_selector_all(".layer", "layers => layers.map(layer => layer.style.transform)")
    assert len(moves) == 4
    assert len(set(moves)) == 1
    port.hover()
    page.mouse.wheel(0, -300)
    page.wait_for_function("Number(document.querySelector('.stage').dataset.scale) > 2.3")
    page.get_by_role("button", name="Fit").click()
    assert stage.get_attribute("data-scale") == "1.00"


def test_slider_and_difference(visit: Callable[..., Any], report: str) -> None:
    page = visit(report)
    page.locator("#images").get_by_label("Right").select_option(label="vq-patch-8")
    page.get_by_role("button", name="Slider").click()
    clip = "document.querySelector('.over').style.clipPath"
    before = page.evaluate(clip)
    page.locator(".pane input[type=range]").focus()
    page.keyboard.press("End")
    assert page.evaluate(clip) != before
    page.get_by_role("button", name="Difference").click()
    total = """() => { const c = document.querySelector('.stage canvas');
        return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.reduce((a, b) => a + b, 0)
            - 255 * c.width * c.height; }"""
    page.wait_for_selector(".stage canvas[data-ready]")
    assert page.evaluate(total) > 0
    page.locator("#images").get_by_label("Right").select_option(label="identity")
    page.wait_for_selector(".stage canvas[data-ready]")
    assert page.evaluate(total) == 0


def test_images_are_ordered_by_a_metric(visit: Callable[..., Any], report: str) -> None:
    page = visit(report)
    page.locator("#images").get_by_label("Right").select_option(label="vq-patch-8")
    values = "nodes => nodes.map(node => Number(node.textContent))"
    worst = page.eval_on_selector_all(".strip span", values)
    assert worst == sorted(worst)
    page.get_by_role("button", name="best first").click()
    assert page.eval_on_selector_all(".strip span", values) == worst[::-1]
    page.locator(".strip button").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".strip button").nth(1).get_attribute("aria-selected") == "true"


def test_a_phone_needs_no_sideways_scrolling(visit: Callable[..., Any], report: str) -> None:
    page = visit(report, width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator("#table .scroll").evaluate("box => box.scrollWidth > box.clientWidth")


def test_hostile_text_is_shown_as_text(visit: Callable[..., Any], make_results: Any, hostile: str) -> None:
    page = visit(build_report([make_results(2, 2, 20, name=hostile)], Catalog(), title=hostile, images=0)[0])
    assert page.locator("img").count() == 0
    assert any(hostile.replace("\x1b", "") in name.replace("\x1b", "") for name in _names(page))
    assert page.title().startswith("</script><img")


def test_two_hundred_tokenizers_sort_in_a_tenth_of_a_second(
    visit: Callable[..., Any], make_results: Any
) -> None:
    page = visit(build_report([make_results(200, 40, 20, shards=False)], Catalog(), images=0)[0])
    page.locator(".chooser summary").click()
    page.locator(".sheet button").first.click()
    assert page.locator("#table thead th:visible").count() == 42
    assert len(_names(page)) < 200
    seconds = page.evaluate(
        """() => [3, 9, 17, 25, 31, 4, 8, 16, 24, 32].map((place) => {
            const button = document.querySelector(`#table th[data-place='${place}'] button`);
            const start = performance.now();
            button.click();
            document.querySelector('#table table').getBoundingClientRect();
            return performance.now() - start;
        })"""
    )
    # Milliseconds, layout of all 8,400 cells included; the fastest of ten, as other programs share the machine.
    assert min(seconds) < 100, seconds
    page.locator(".more").evaluate("button => button.click()")  # lines appear while one scrolls, so it moves
    assert len(_names(page)) == 200


def test_the_timeline_of_a_profile_is_drawn_zoomed_and_searched(visit: Callable[..., Any]) -> None:
    spans = [
        Span("tokenizer/a", 0.0, 0.6, 1, 1, "lane_0", images=4, inside=0.2),
        Span("network/x", 0.2, 0.4, 1, 1, "lane_0", images=4),
        Span("wait/lanes", 0.9, 1.0, 1, 1, "lane_0"),
    ]
    page = visit(timeline(breakdown(trace(spans, 0.0, 1.0)), "profile"))
    tracks = page.locator("canvas.tracks")
    box = tracks.bounding_box()

    def colour(x: float, y: float) -> object:
        """The colour at a share of the width, at some pixels from the top."""
        with Image.open(io.BytesIO(tracks.screenshot())) as picture:
            return picture.getpixel((x * picture.width, y))

    outer, inner = 50, 70  # the two rows of the first lane, below the axis and its name
    tokenizer, network = colour(0.5, outer), colour(0.3, inner)
    assert tokenizer != network
    card = colour(0.75, outer)
    assert colour(0.5, inner) == card
    assert card not in {tokenizer, network, colour(0.95, outer)}
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + inner)
    assert page.locator("#tip").inner_text().split("\n") == [
        "network/x",
        "200 ms, 4 images",
        "in lane_0, 200 ms after the start",
    ]
    page.get_by_role("button", name="network/x").click()
    assert colour(0.5, outer) != tokenizer
    assert colour(0.3, inner) == network
    page.get_by_role("button", name="network/x").click()
    assert colour(0.5, outer) == tokenizer
    tracks.focus()
    page.keyboard.press("+")
    page.keyboard.press("+")
    page.keyboard.press("ArrowLeft")
    page.evaluate("new Promise(requestAnimationFrame)")
    assert (colour(0.1, inner), colour(0.4, inner), colour(0.5, inner)) == (network, network, card)
    page.keyboard.press("0")
    page.evaluate("new Promise(requestAnimationFrame)")
    assert (colour(0.1, inner), colour(0.3, inner), colour(0.5, inner)) == (card, network, card)
