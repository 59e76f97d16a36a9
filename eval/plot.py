"""Figures of the report, as SVG to put into a page."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .results import LengthHistogram, Results
from .wording import milliseconds, percent

# Text stays text: it can be searched and read aloud, and takes the page's font.
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "pocketbert",
    "font.family": "sans-serif",
    "font.size": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#5b6470",
    "axes.labelcolor": "#1c2128",
    "xtick.color": "#414a55",
    "ytick.color": "#414a55",
}
INK, SHIPS, OTHERS, GRID = "#1c2128", "#b3261e", "#2f5d8a", "#dfe3e8"
WIDTH_INCHES = 4.7


def accuracy_against_latency(results: Results) -> str:
    """Draw every artifact: accuracy with its interval over p50 with a whisker to p90."""
    with _figure(3.7) as (figure, axes):
        for number, result in enumerate(results.artifacts, start=1):
            accuracy, latency = result.accuracy, result.latency
            colour = SHIPS if result.artifact.name == results.engine else OTHERS
            axes.errorbar(
                latency.p50_ms,
                100 * accuracy.value,
                xerr=[[0.0], [latency.p90_ms - latency.p50_ms]],
                yerr=[
                    [100 * (accuracy.value - accuracy.low)],
                    [100 * (accuracy.high - accuracy.value)],
                ],
                fmt="o",
                markersize=17,
                color=colour,
                ecolor=colour,
                elinewidth=1.4,
                capsize=3,
                zorder=3,
            )
            axes.annotate(
                str(number),
                (latency.p50_ms, 100 * accuracy.value),
                ha="center",
                va="center_baseline",
                color="white",
                weight="bold",
                zorder=4,
            )
        axes.set_xscale("log")
        _plain_log_ticks(axes, results)
        axes.set_xlabel("latency at batch 1, ms (logarithmic)")
        axes.set_ylabel("test accuracy, %")
        axes.margins(x=0.12, y=0.08)
        axes.grid(color=GRID, zorder=0)
        points = "; ".join(
            f"{number}. {result.artifact.title}: {percent(result.accuracy.value)}, "
            f"{milliseconds(result.latency.p50_ms)}"
            for number, result in enumerate(results.artifacts, start=1)
        )
        return _svg(figure, "plot", "Accuracy against latency", points)


def length_histogram(lengths: LengthHistogram) -> str:
    """Draw how many test texts have how many tokens."""
    with _figure(2.3) as (figure, axes):
        starts = [lengths.bin_width * number for number in range(len(lengths.counts))]
        axes.bar(starts, lengths.counts, width=lengths.bin_width * 0.92, align="edge", color=OTHERS)
        axes.set_xlabel("tokens in a text")
        axes.set_ylabel("test texts")
        axes.set_xlim(left=0)
        bins = "; ".join(
            f"{start + 1} to {start + lengths.bin_width}: {count}"
            for start, count in zip(starts, lengths.counts, strict=True)
        )
        return _svg(figure, "lengths", "Test texts by number of tokens", bins)


@contextmanager
def _figure(height_inches: float) -> Iterator[tuple[Figure, Axes]]:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_INCHES, height_inches), layout="constrained")
        yield figure, figure.add_subplot()


def _plain_log_ticks(axes: Axes, results: Results) -> None:
    """Ticks at 1, 2, 5, 10 ... as far as the points reach, written without powers."""
    low = min(result.latency.p50_ms for result in results.artifacts) / 1.8
    high = max(result.latency.p90_ms for result in results.artifacts) * 1.8
    steps = (step * 10.0**power for power in range(-3, 6) for step in (1, 2, 5))
    ticks = [tick for tick in steps if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
    axes.set_xticks([], minor=True)
    axes.set_xlim(low, high)


def _svg(figure: Figure, name: str, title: str, description: str) -> str:
    """Render to an `<svg>` that scales with the page and says what it shows."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Two figures in one page would share the ids that matplotlib counts from 1.
    svg = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    opening = re.search(r'viewBox="[^"]*"', svg)
    assert opening is not None
    head = (
        f'<svg {opening.group()} role="img" aria-labelledby="{name}-title {name}-description">'
        f'<title id="{name}-title">{_escape(title)}</title>'
        f'<desc id="{name}-description">{_escape(description)}</desc>'
    )
    return head + svg[svg.index(">") + 1 :]


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
