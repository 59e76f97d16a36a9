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
from .results import LengthHistogram
from .wording import MetricWording, milliseconds

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
class Point:
    """An engine in the plane of accuracy and latency.

    Attributes:
        title: What it is called.
        accuracy: On the test examples.
        p50_ms: Median latency.
        p90_ms: 90th percentile.
        details: What is said of it when it is pointed at.
        ships: It is what ships.
    """

    title: str
    accuracy: Interval
    p50_ms: float
    p90_ms: float
    details: str
    ships: bool


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


def accuracy_against_latency(points: Sequence[Point], metric: MetricWording) -> str:
    """Draw every point: the metric with its interval over p50 with a whisker to p90.

    Points can be reached with the keyboard and say what they are; a dashed line joins those that no
    other beats in both.
    """
    with _figure(3.7) as (figure, axes):
        _draw_front(axes, points, metric.scale)
        for number, point in enumerate(points, start=1):
            _draw_point(axes, number, point, metric.scale)
        axes.set_xscale("log")
        _plain_log_ticks(axes, points)
        axes.set_xlabel("latency at batch 1, ms (logarithmic)")
        axes.set_ylabel(f"test {metric.axis}")
        axes.margins(x=0.12, y=0.08)
        axes.grid(color=GRID, zorder=0)
        svg = _svg(
            figure, "plot", f"{metric.title} against latency", _described(points, metric), "group"
        )
    for number, point in enumerate(points, start=1):
        svg = _reachable(svg, f"plot-point-{number}", f"{number}. {point.details}")
    return svg


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """Return the points that no other one beats in both accuracy and median latency."""
    front: list[Point] = []
    for point in sorted(points, key=lambda one: (one.p50_ms, -one.accuracy.value)):
        if not front or point.accuracy.value > front[-1].accuracy.value:
            front.append(point)
    return front


def slice_bars(name: str, title: str, slices: Sequence[SliceBar], metric: MetricWording) -> str:
    """Draw the metric on parts of the test texts, the engine's beside the teacher's.

    Args:
        name: Prefix of the figure's ids.
        title: What the parts are.
        slices: One row a part.
        metric: What is drawn.
    """
    with _figure(0.9 + 0.5 * len(slices)) as (figure, axes):
        for row, part in enumerate(slices):
            for shift, interval, colour in (
                (-0.19, part.engine, SHIPS),
                (0.19, part.teacher, OTHERS),
            ):
                axes.barh(
                    row + shift,
                    metric.scale * interval.value,
                    height=0.34,
                    color=colour,
                    zorder=2,
                )
                axes.hlines(
                    row + shift,
                    metric.scale * interval.low,
                    metric.scale * interval.high,
                    INK,
                    linewidth=1.4,
                    zorder=3,
                )
        axes.set_yticks(range(len(slices)), [f"{one.name} ({one.examples})" for one in slices])
        axes.invert_yaxis()
        axes.set_xlim(0, metric.scale)
        axes.set_xlabel(metric.axis)
        axes.grid(axis="x", color=GRID, zorder=0)
        rows = "; ".join(
            f"{one.name}, {one.examples} texts: engine {metric.value(one.engine.value)} "
            f"({metric.range(one.engine)}), teacher {metric.value(one.teacher.value)}"
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


def _draw_point(axes: Axes, number: int, point: Point, scale: int) -> None:
    accuracy, colour = point.accuracy, SHIPS if point.ships else OTHERS
    drawn = axes.errorbar(
        point.p50_ms,
        scale * accuracy.value,
        xerr=[[0.0], [point.p90_ms - point.p50_ms]],
        yerr=[
            [scale * (accuracy.value - accuracy.low)],
            [scale * (accuracy.high - accuracy.value)],
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
        (point.p50_ms, scale * accuracy.value),
        ha="center",
        va="center_baseline",
        color="white",
        weight="bold",
        zorder=4,
    )


def _draw_front(axes: Axes, points: Sequence[Point], scale: int) -> None:
    front = pareto_front(points)
    axes.step(
        [one.p50_ms for one in front],
        [scale * one.accuracy.value for one in front],
        where="post",
        linestyle="--",
        linewidth=1.2,
        color=FRONT,
        zorder=1,
    )


def _described(points: Sequence[Point], metric: MetricWording) -> str:
    said = "; ".join(
        f"{number}. {point.title}: {metric.value(point.accuracy.value)}, "
        f"{milliseconds(point.p50_ms)}"
        for number, point in enumerate(points, start=1)
    )
    return f"{said}. Not beaten in both: {', '.join(one.title for one in pareto_front(points))}"


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


def _plain_log_ticks(axes: Axes, points: Sequence[Point]) -> None:
    """Ticks at 1, 2, 5, 10 ... as far as the points reach, written without powers."""
    low = min(point.p50_ms for point in points) / 1.8
    high = max(point.p90_ms for point in points) * 1.8
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
