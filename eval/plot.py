"""Figures of the report, as SVG to put into a page."""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .intervals import Interval
from .results import ArtifactResult, LengthHistogram, Results
from .wording import milliseconds, percent, percent_range, size

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
INK, SHIPS, OTHERS, GRID, FRONT = "#1c2128", "#b3261e", "#2f5d8a", "#dfe3e8", "#414a55"
WIDTH_INCHES = 4.7


@dataclass(frozen=True, kw_only=True)
class SliceBar:
    """Accuracy on a part of the test texts.

    Attributes:
        name: Of the part.
        examples: How many texts it has.
        engine: What ships, on them.
        teacher: The teacher, on them.
    """

    name: str
    examples: int
    engine: Interval
    teacher: Interval


def accuracy_against_latency(results: Results) -> str:
    """Draw every artifact: accuracy with its interval over p50 with a whisker to p90.

    Points can be reached with the keyboard and say what they are; a dashed line joins those that no
    other beats in both.
    """
    with _figure(3.7) as (figure, axes):
        _draw_front(axes, results)
        for number, result in enumerate(results.artifacts, start=1):
            colour = SHIPS if result.artifact.name == results.engine else OTHERS
            _draw_point(axes, number, result, colour)
        axes.set_xscale("log")
        _plain_log_ticks(axes, results)
        axes.set_xlabel("latency at batch 1, ms (logarithmic)")
        axes.set_ylabel("test accuracy, %")
        axes.margins(x=0.12, y=0.08)
        axes.grid(color=GRID, zorder=0)
        svg = _svg(figure, "plot", "Accuracy against latency", _described(results), "group")
    for number, result in enumerate(results.artifacts, start=1):
        svg = _reachable(svg, f"plot-point-{number}", f"{number}. {point_details(result)}")
    return svg


def pareto_front(results: Results) -> list[ArtifactResult]:
    """Return the artifacts that no other one beats in both accuracy and median latency."""
    front: list[ArtifactResult] = []
    for result in sorted(
        results.artifacts, key=lambda one: (one.latency.p50_ms, -one.accuracy.value)
    ):
        if not front or result.accuracy.value > front[-1].accuracy.value:
            front.append(result)
    return front


def point_details(result: ArtifactResult) -> str:
    """What a point says when it is pointed at."""
    latency = result.latency
    return (
        f"{result.artifact.title}: accuracy {percent(result.accuracy.value)} "
        f"({percent_range(result.accuracy)}); p50 {milliseconds(latency.p50_ms)}, p90 "
        f"{milliseconds(latency.p90_ms)}, p99 {milliseconds(latency.p99_ms)}; weights "
        f"{size(result.footprint.weights_bytes)}, peak memory {size(result.peak_bytes)}"
    )


def slice_bars(name: str, title: str, slices: Sequence[SliceBar]) -> str:
    """Draw accuracy on parts of the test texts, the engine's beside the teacher's.

    Args:
        name: Prefix of the figure's ids.
        title: What the parts are.
        slices: One row a part.
    """
    with _figure(0.9 + 0.5 * len(slices)) as (figure, axes):
        for row, part in enumerate(slices):
            for shift, interval, colour in (
                (-0.19, part.engine, SHIPS),
                (0.19, part.teacher, OTHERS),
            ):
                axes.barh(row + shift, 100 * interval.value, height=0.34, color=colour, zorder=2)
                axes.hlines(
                    row + shift,
                    100 * interval.low,
                    100 * interval.high,
                    INK,
                    linewidth=1.4,
                    zorder=3,
                )
        axes.set_yticks(range(len(slices)), [f"{one.name} ({one.examples})" for one in slices])
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.set_xlabel("accuracy, %")
        axes.grid(axis="x", color=GRID, zorder=0)
        rows = "; ".join(
            f"{one.name}, {one.examples} texts: engine {percent(one.engine.value)} "
            f"({percent_range(one.engine)}), teacher {percent(one.teacher.value)}"
            for one in slices
        )
        return _svg(figure, name, title, rows)


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


def _draw_point(axes: Axes, number: int, result: ArtifactResult, colour: str) -> None:
    accuracy, latency = result.accuracy, result.latency
    drawn = axes.errorbar(
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
    drawn[0].set_gid(f"point-{number}")
    axes.annotate(
        str(number),
        (latency.p50_ms, 100 * accuracy.value),
        ha="center",
        va="center_baseline",
        color="white",
        weight="bold",
        zorder=4,
    )


def _draw_front(axes: Axes, results: Results) -> None:
    front = pareto_front(results)
    axes.step(
        [one.latency.p50_ms for one in front],
        [100 * one.accuracy.value for one in front],
        where="post",
        linestyle="--",
        linewidth=1.2,
        color=FRONT,
        zorder=1,
    )


def _described(results: Results) -> str:
    points = "; ".join(
        f"{number}. {result.artifact.title}: {percent(result.accuracy.value)}, "
        f"{milliseconds(result.latency.p50_ms)}"
        for number, result in enumerate(results.artifacts, start=1)
    )
    front = ", ".join(one.artifact.title for one in pareto_front(results))
    return f"{points}. Not beaten in both: {front}"


def _reachable(svg: str, group: str, details: str) -> str:
    """Let the keyboard reach a group, and let it say its details."""
    said = _escape(details).replace('"', "&quot;")
    opening = f'<g id="{group}"'
    assert svg.count(opening) == 1
    return svg.replace(
        f"{opening}>",
        f'{opening} tabindex="0" role="img" aria-label="{said}"><title>{_escape(details)}</title>',
    )


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


def _svg(figure: Figure, name: str, title: str, description: str, role: str = "img") -> str:
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
        f'<svg {opening.group()} role="{role}" aria-labelledby="{name}-title {name}-description">'
        f'<title id="{name}-title">{_escape(title)}</title>'
        f'<desc id="{name}-description">{_escape(description)}</desc>'
    )
    return head + svg[svg.index(">") + 1 :]


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
