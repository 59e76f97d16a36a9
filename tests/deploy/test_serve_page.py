"""The page at `/`, in a real browser."""

import shutil

import pytest

from pocketbert.deploy.engine import Engine

from .serving import serving

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
TEXTS = ["a superb film", "dull"]


@pytest.fixture(scope="module")
def served(bert):
    with serving(bert.bundle, "--name", "a model &amp;", "--max-body-bytes", 2000) as server:
        yield server


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, served):
    """The page at the width of a phone; it may complain of nothing and ask nobody else."""
    page = chromium.new_page(viewport={"width": 360, "height": 640})
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.extend(_elsewhere(request.url, served.url)))
    page.goto(served.url)
    yield page
    page.close()
    assert complaints == []


def _elsewhere(url, home):
    return [] if url.startswith((home, "data:")) else [url]


def test_keys_alone_run_texts_and_bars_say_what_the_engine_says(page, bert):
    page.wait_for_function("document.activeElement.id === 'texts'")  # has the focus by itself
    page.keyboard.type("\n".join(TEXTS))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Run"
    page.keyboard.press("Enter")
    page.get_by_role("status").filter(has_text="2 texts:").wait_for()
    answers = Engine.open(bert.bundle)(TEXTS)
    cards = page.get_by_role("listitem").all()
    assert len(cards) == len(TEXTS)
    for card, text, answer in zip(cards, TEXTS, answers, strict=True):
        assert card.get_by_text(text, exact=True).is_visible()
        names = card.get_by_role("rowheader").all_inner_texts()
        by_size = sorted(answer.probabilities, key=lambda name: -answer.probabilities[name])
        assert names == by_size
        widths = [bar.bounding_box()["width"] for bar in card.locator(".bar").all()]
        whole = card.locator(".track").first.bounding_box()["width"]
        for name, width, shown in zip(
            names, widths, card.locator(".number").all_inner_texts(), strict=True
        ):
            assert shown == f"{100 * answer.probabilities[name]:.1f} %"
            assert width / whole == pytest.approx(answer.probabilities[name], abs=0.01)


def test_latency_is_shown(page):
    page.get_by_label("Texts").fill("superb")
    page.keyboard.press("Control+Enter")
    status = page.get_by_role("status").filter(has_text="1 text:")
    status.wait_for()
    server, there_and_back = (float(part.split()[0]) for part in _times(status.inner_text()))
    assert 0 < server < there_and_back


def _times(said):
    return said.removeprefix("1 text: ").split(", ")


def test_markup_in_a_text_is_text(page):
    text = "<img src=x onerror=alert(1)>"
    page.get_by_label("Texts").fill(text)
    page.get_by_role("button", name="Run").click()
    page.get_by_role("listitem").get_by_text(text, exact=True).wait_for()
    assert page.locator("li img").count() == 0


def test_mistakes_are_said_and_the_page_goes_on(page):
    page.get_by_role("button", name="Run").click()
    page.get_by_text("Type a text first.").wait_for()
    page.get_by_label("Texts").fill("x" * 3000)
    page.get_by_role("button", name="Run").click()
    page.get_by_text("Refused: the body is longer than 2,000 bytes; send less at once").wait_for()
    page.get_by_label("Texts").fill("superb")
    page.get_by_role("button", name="Run").click()
    page.get_by_role("status").filter(has_text="1 text:").wait_for()


def test_nothing_is_wider_than_a_phone_and_the_button_is_large_enough_to_touch(page):
    page.get_by_label("Texts").fill("x" * 300)
    page.get_by_role("button", name="Run").click()
    page.get_by_role("listitem").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.get_by_role("button", name="Run").bounding_box()["height"] >= 44
