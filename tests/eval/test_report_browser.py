"""The report in a real browser: headless Chromium, at a desk's and a phone's width, and printed."""

import json
import shutil

import pytest

from pocketbert.eval.doctor import Finding
from pocketbert.eval.doctor.examine import Examination, write_examination
from pocketbert.eval.doctor.speed import OperatorShare, SpeedReport
from pocketbert.eval.report import write_report

from .test_report import RECIPE, STAGES

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium (apt: chromium)")
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 375, "height": 740}
FINDING = Finding(
    kind="padding", subject="onnxruntime", found="83% <padding>", remedy="none", figures={}
)
OPERATOR = OperatorShare(kind="MatMulIntegerToFloat", types="uint8, int8", count=9, share=0.5)
SPEED = SpeedReport(
    subject="onnxruntime",
    runtime="onnxruntime",
    p50_ms=0.5,
    int8_products=9,
    float_products=1,
    operators=(OPERATOR,),
    findings=(FINDING,),
)


@pytest.fixture(scope="module")
def report(under_load, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    gate = {"gate": "bytes <= 1 MB", "artifact": "engine-int8", "outcome": "miss"}
    found = {"found": {"value": 2e6, "low": 2e6, "high": 2e6}, "explanation": "2 MB, beyond"}
    (out / "gates.json").write_text(json.dumps([gate | found]))
    write_examination(Examination(texts=9, speed=(SPEED,), numerics=()), out)
    write_report(
        out=out, evaluation=under_load, recipe=RECIPE, stages=STAGES, gates=out, doctor=out
    )
    return out / "report.html"


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, report):
    page = browser.new_page(viewport=DESK)
    page.problems = []
    page.on("console", lambda message: page.problems.append(message.text))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("request", lambda request: page.problems.append(request.url))
    page.goto(report.as_uri())
    yield page
    page.close()


def test_it_loads_without_complaint_and_without_another_request(page, report):
    assert page.problems == [report.as_uri()]
    assert page.title() == "tiny: accuracy against latency"


def test_the_plot_shows_every_artifact_and_says_what_it_is(page, report):
    artifacts = json.loads(report.with_suffix(".json").read_text())["results"]["artifacts"]
    points = page.locator("[id^=plot-point]")
    assert points.count() == len(artifacts)
    for number, artifact in enumerate(artifacts):
        plot = page.locator("figure svg").first.bounding_box()
        box = points.nth(number).bounding_box()
        assert plot["x"] <= box["x"] <= plot["x"] + plot["width"]
        assert plot["y"] <= box["y"] <= plot["y"] + plot["height"]
        assert artifact["artifact"]["title"] in points.nth(number).get_attribute("aria-label")
        details = page.locator(".details p").nth(number + 1)
        assert not details.is_visible()
        points.nth(number).hover()
        assert details.is_visible()
        assert artifact["artifact"]["title"] in details.inner_text()


def test_every_scenario_has_a_table_with_a_row_for_what_was_driven(page, report):
    artifacts = json.loads(report.with_suffix(".json").read_text())["results"]["artifacts"]
    driven = [one["artifact"]["title"] for one in artifacts if one["load"]]
    for scenario in ("SingleStream", "Offline", "Server"):
        table = page.get_by_role("region", name=scenario, exact=True)
        assert table.is_visible()
        assert table.locator("tbody th").all_inner_texts() == driven
        rows = table.locator("tr")
        widths = [rows.nth(number).locator("th, td").count() for number in range(rows.count())]
        assert len(set(widths)) == 1
    assert table.get_by_text("90% within 1000 ms").is_visible()


def test_the_keyboard_reaches_every_point(page):
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "plot-point-2":
            break
    assert page.locator(".details p").nth(2).is_visible()
    assert not page.locator(".details p").nth(0).is_visible()


def test_links_lead_somewhere(page):
    links = page.locator("nav a")
    assert links.count() >= 10
    for number in range(links.count()):
        target = links.nth(number).get_attribute("href")
        links.nth(number).click()
        assert page.url.endswith(target)
        assert page.locator(target).is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(page, scheme):
    page.emulate_media(color_scheme=scheme)
    worst = page.evaluate(CONTRAST)
    assert worst["ratio"] >= 4.5, worst  # WCAG 2.2, AA


@pytest.mark.parametrize("size", [DESK, PHONE])
def test_nothing_is_wider_than_the_screen(page, size):
    page.set_viewport_size(size)
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert page.locator("h1").bounding_box()["x"] >= 0


def test_it_can_be_printed(page):
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")


# The worst contrast of any text with the nearest painted background behind it (WCAG's formula).
CONTRAST = """() => {
  const channels = text => text.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const color = channels(getComputedStyle(e).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  let worst = {ratio: 99};
  for (const e of document.querySelectorAll('main *, header *, nav *')) {
    const hasText = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    if (e.closest('svg') || !hasText) continue;
    const [a, b] = [luminance(channels(getComputedStyle(e).color)), luminance(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < worst.ratio) worst = {ratio, text: e.textContent.slice(0, 60), tag: e.tagName};
  }
  return worst;
}"""
