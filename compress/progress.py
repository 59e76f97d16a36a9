"""Progress of long work: a bar on a terminal, plain periodic lines elsewhere."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

logger = logging.getLogger("pocketbert")

SECONDS_BETWEEN_LINES = 10.0


class Progress(Protocol):
    """Told by the work how far it is."""

    def advance(self, steps: int = 1, **metrics: float) -> None:
        """Report `steps` more done and the newest value of any metric."""


@contextmanager
def progress(title: str, total: int, unit: str = "step", done: int = 0) -> Iterator[Progress]:
    """Show how far a piece of work is, at what rate, how long it will take, and its metrics.

    Args:
        title: What is going on, in a word or two.
        total: Number of units of work.
        unit: Their name, singular.
        done: Units that an earlier, interrupted try has finished.
    """
    console = Console(stderr=True)
    if not logger.isEnabledFor(logging.INFO):
        yield _Silent()
    elif console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}"),
        )
        with RichProgress(*columns, console=console) as bar:
            task = bar.add_task(title, total=total, completed=done, rate="", metrics="")
            yield _Bar(bar, task, unit)
    else:
        yield _Lines(title, total, unit, done)


class _Silent:
    def advance(self, steps: int = 1, **metrics: float) -> None:
        pass


class _Bar:
    def __init__(self, bar: RichProgress, task: TaskID, unit: str) -> None:
        self.bar, self.task, self.unit = bar, task, unit
        self.metrics: dict[str, float] = {}

    def advance(self, steps: int = 1, **metrics: float) -> None:
        self.metrics.update(metrics)
        speed = self.bar.tasks[self.bar.task_ids.index(self.task)].speed
        self.bar.update(
            self.task,
            advance=steps,
            rate=f"{speed:.1f} {self.unit}/s" if speed else "",
            metrics=_text(self.metrics),
        )


class _Lines:
    def __init__(self, title: str, total: int, unit: str, done: int) -> None:
        self.title, self.total, self.unit = title, total, unit
        self.done = self.done_at_start = done
        self.metrics: dict[str, float] = {}
        self.started_s = self.last_line_s = time.monotonic()

    def advance(self, steps: int = 1, **metrics: float) -> None:
        self.done += steps
        self.metrics.update(metrics)
        now_s = time.monotonic()
        ended = steps > 0 and self.done >= self.total
        if not ended and now_s - self.last_line_s < SECONDS_BETWEEN_LINES:
            return
        self.last_line_s = now_s
        rate = (self.done - self.done_at_start) / max(now_s - self.started_s, 1e-9)
        left_s = round((self.total - self.done) / rate) if rate else 0
        logger.info(
            "%s %d/%d %.0f %% %.1f %s/s %d:%02d left %s",
            self.title,
            self.done,
            self.total,
            100 * self.done / max(self.total, 1),
            rate,
            self.unit,
            left_s // 60,
            left_s % 60,
            _text(self.metrics),
        )
        sys.stderr.flush()


def _text(metrics: dict[str, float]) -> str:
    return " ".join(f"{name} {value:.4g}" for name, value in metrics.items())
