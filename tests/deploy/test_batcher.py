import asyncio
import threading

import pytest

from pocketbert.deploy.serve.batcher import BatchConfig, Batcher, QueueFullError


class Engine:
    """Answers in capitals, each call when it is let."""

    def __init__(self, open_gate=True):
        self.batches = []
        self.gate = threading.Event()
        if open_gate:
            self.gate.set()

    def __call__(self, texts):
        self.batches.append(list(texts))
        assert self.gate.wait(30)
        if "bad" in texts:
            raise ValueError("a bad text")
        return [text.upper() for text in texts]


def run(engine, work, **config):
    """Run `work(batcher)`; return its result and what was observed."""
    observed = []

    async def main():
        batcher = Batcher(engine, BatchConfig(**config), lambda *seen: observed.append(seen))
        try:
            result = await asyncio.wait_for(work(batcher), 30)
        finally:
            engine.gate.set()
            await batcher.close()
        assert not batcher.alive
        assert batcher.waiting == 0
        return result

    return asyncio.run(main()), observed


def test_texts_of_several_requests_become_one_batch_and_find_back():
    engine = Engine()

    async def work(batcher):
        return await asyncio.gather(batcher.submit(["a", "b"]), batcher.submit(["c", "d"]))

    # The wait is longer than the test may take: a batch that is full does not wait.
    answers, observed = run(engine, work, max_batch=4, max_wait_ms=60_000)
    assert answers == [["A", "B"], ["C", "D"]]
    assert engine.batches == [["a", "b", "c", "d"]]
    assert [count for count, _ in observed] == [4]


def test_what_comes_while_the_engine_computes_is_the_next_batch():
    engine = Engine(open_gate=False)

    async def work(batcher):
        first = batcher.submit(["a"])
        while not engine.batches:
            await asyncio.sleep(0.001)
        rest = [batcher.submit([text]) for text in "bcdef"]
        engine.gate.set()
        return await asyncio.gather(first, *rest)

    answers, _ = run(engine, work, max_batch=3, max_wait_ms=0)
    assert answers == [["A"], ["B"], ["C"], ["D"], ["E"], ["F"]]
    assert engine.batches == [["a"], ["b", "c", "d"], ["e", "f"]]


def test_nobody_comes_and_the_first_does_not_wait_longer_than_it_may():
    engine = Engine()

    async def work(batcher):
        loop = asyncio.get_running_loop()
        started = loop.time()
        await batcher.submit(["a"])
        return loop.time() - started

    seconds, _ = run(engine, work, max_batch=4, max_wait_ms=200)
    assert 0.19 < seconds < 20


def test_what_does_not_fit_is_refused_whole_and_nothing_is_left_of_it():
    engine = Engine(open_gate=False)

    async def work(batcher):
        taken = batcher.submit(["a", "b", "c"])
        with pytest.raises(QueueFullError) as refused:
            batcher.submit(["d", "e"])
        assert refused.value.retry_after_s >= 1
        batcher.check_room()
        last = batcher.submit(["f"])
        with pytest.raises(QueueFullError):
            batcher.check_room()
        engine.gate.set()
        answers = [await taken, await last]
        batcher.check_room(4)
        return answers

    answers, _ = run(engine, work, max_batch=2, max_waiting=4)
    assert answers == [["A", "B", "C"], ["F"]]
    assert {text for batch in engine.batches for text in batch} == set("abcf")


def test_an_error_reaches_its_batch_only():
    engine = Engine()

    async def work(batcher):
        with pytest.raises(ValueError, match="a bad text"):
            await batcher.submit(["bad"])
        return await batcher.submit(["good"])

    answers, _ = run(engine, work, max_batch=1)
    assert answers == ["GOOD"]


def test_an_engine_that_forgets_a_text_does_not_leave_it_waiting():
    class Forgetful(Engine):
        def __call__(self, texts):
            return super().__call__(texts)[1:]

    async def work(batcher):
        with pytest.raises(ValueError, match=r"zip\(\)"):
            await batcher.submit(["a", "b"])

    run(Forgetful(), work, max_batch=2, max_wait_ms=1000)


def test_one_who_went_away_is_no_trouble():
    engine = Engine(open_gate=False)

    async def work(batcher):
        gone, stays = batcher.submit(["a"]), batcher.submit(["b"])
        gone.cancel()
        engine.gate.set()
        return await stays

    answers, _ = run(engine, work, max_batch=2)
    assert answers == ["B"]


def test_closing_answers_what_was_taken_in():
    engine = Engine()

    async def main():
        batcher = Batcher(engine, BatchConfig(max_batch=2), lambda *_: None)
        waiting = [batcher.submit([text]) for text in "abcde"]
        await batcher.close()
        return await asyncio.wait_for(asyncio.gather(*waiting), 30)

    assert asyncio.run(main()) == [["A"], ["B"], ["C"], ["D"], ["E"]]
