"""The queue between requests and the engine: texts of many requests become one batch.

A worker thread takes what waits, up to `max_batch` texts; the first of a batch waits at most
`max_wait_ms` for company. While the engine computes, the next batch gathers by itself. No more
than `max_waiting` texts are taken in at a time; what comes on top is refused, not stored.
"""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any


@dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """How texts are gathered.

    Attributes:
        max_batch: Texts of one call of the engine.
        max_wait_ms: Longest wait of a batch's first text for more texts; 0 takes what is there.
        max_waiting: Texts that are taken in and not yet answered.
    """

    max_batch: int = 8
    max_wait_ms: float = 0.0
    max_waiting: int = 256


class QueueFullError(Exception):
    """There is no room for more texts.

    Args:
        retry_after_s: Time in which what waits will have been answered, at the present speed.
    """

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"the queue is full; try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, eq=False)
class _Waiting:
    text: str
    answer: "asyncio.Future[Any]"


class Batcher:
    """Answers texts from one worker thread; to be made and used in one event loop.

    Args:
        answer_all: Texts to their answers, in their order; called in the worker thread.
        config: How texts are gathered.
        observe: Told the texts and the seconds of every call of `answer_all`.
    """

    def __init__(
        self,
        answer_all: Callable[[Sequence[str]], Sequence[Any]],
        config: BatchConfig,
        observe: Callable[[int, float], None],
    ) -> None:
        self.waiting = 0
        self._answer_all = answer_all
        self._config = config
        self._observe = observe
        self._seconds_per_text = 0.0
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._worker = threading.Thread(target=self._work, name="batcher", daemon=True)
        self._worker.start()

    @property
    def alive(self) -> bool:
        """Whether texts are being answered."""
        return self._worker.is_alive()

    def check_room(self, count: int = 1) -> None:
        """Refuse what would not fit.

        Raises:
            QueueFullError: There is no room for `count` texts.
        """
        if self.waiting + count > self._config.max_waiting:
            raise QueueFullError(max(1, math.ceil(self.waiting * self._seconds_per_text)))

    def submit(self, texts: Sequence[str]) -> "asyncio.Future[list[Any]]":
        """Take texts in, all or none.

        Returns:
            Their answers in their order, or what the engine raised.

        Raises:
            QueueFullError: There is no room for them.
        """
        self.check_room(len(texts))
        self.waiting += len(texts)
        entries = [_Waiting(text, self._loop.create_future()) for text in texts]
        for entry in entries:
            self._queue.put(entry)
        return asyncio.gather(*(entry.answer for entry in entries))

    async def close(self) -> None:
        """Answer what was taken in, then end the worker."""
        self._queue.put(None)
        await asyncio.to_thread(self._worker.join)

    def _work(self) -> None:
        while batch := self._next_batch():
            started = time.perf_counter()
            outcomes: list[tuple[_Waiting, Any]]
            try:
                answers = self._answer_all([entry.text for entry in batch])
                outcomes = list(zip(batch, answers, strict=True))
            except Exception as error:  # belongs to those who wait, who must not wait forever
                outcomes = [(entry, error) for entry in batch]
            seconds = time.perf_counter() - started
            self._loop.call_soon_threadsafe(self._settle, outcomes, seconds)

    def _next_batch(self) -> list[_Waiting]:
        """Wait for texts; nothing means the end."""
        first = self._queue.get()
        batch = [first] if first else []
        deadline = time.monotonic() + self._config.max_wait_ms / 1000
        while batch and len(batch) < self._config.max_batch:
            try:
                entry = self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                break
            if entry is None:
                self._queue.put(None)  # the end comes after this batch
                break
            batch.append(entry)
        return batch

    def _settle(self, outcomes: list[tuple[_Waiting, Any]], seconds: float) -> None:
        self.waiting -= len(outcomes)
        self._seconds_per_text = seconds / len(outcomes)
        self._observe(len(outcomes), seconds)
        for entry, outcome in outcomes:
            if entry.answer.done():  # nobody waits for it any more
                continue
            if isinstance(outcome, Exception):
                entry.answer.set_exception(outcome)
            else:
                entry.answer.set_result(outcome)
