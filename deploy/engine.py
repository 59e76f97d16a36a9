"""The one object that a program uses: texts in, typed answers out."""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.config import HEAD, Truncation
from pocketbert.compress.errors import BundleError, DataError
from pocketbert.compress.texts import Text, characters
from pocketbert.compress.word_tags import Word

from .bundle import THRESHOLDS, TOKENIZER, Bundle, Target, Verify, read_bundle
from .cpu import available_isas
from .runners import (
    Runner,
    open_model_folder,
    open_target,
    open_writer,
    open_writing_folder,
    why_not,
    why_not_built,
)
from .tasks import TASKS
from .tasks.translation import as_numbers
from .tokenizer import Row, Tokenizer
from .windows import pooled_logits
from .writing import Language, Writer

BATCHES_READ_AHEAD = 16


class Engine:
    """A tokenizer and a runner; may be called from several threads at once.

    Args:
        tokenizer: Cuts texts into the model's tokens.
        runner: Computes logits.
        labels: What the logits are called.
        description: What runs, and why this was chosen.
        kind: The kind of task, which says what the logits mean.
        thresholds: Logits from which on each label is given, where that is how labels are given.
        pairs: Whether every text is two; None takes either.
        language: What is written, where the answer is a text; `runner` then is what writes it.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        runner: Runner | Writer,
        labels: Sequence[str],
        description: str = "",
        kind: str = "text-classification",
        thresholds: Sequence[float] = (),
        pairs: bool | None = None,
        language: Language | None = None,
    ) -> None:
        self.labels = tuple(labels)
        self.kind = kind
        self.thresholds = tuple(thresholds)
        self.pairs = pairs
        self._task = TASKS[kind](self.labels, thresholds)
        self._tokenizer = tokenizer
        self._language = language
        self._runner: Any = runner
        self._description = description

    @classmethod
    def open(
        cls,
        bundle: Path | str,
        target: str | None = None,
        threads: int | None = None,
        *,
        verify: Verify = "all",
        trusted_key: Path | str | None = None,
        beams: int | None = None,
    ) -> "Engine":
        """Open a bundle on this machine.

        Args:
            bundle: The bundle's folder.
            target: Name of a target; by default the best that this processor can run.
            threads: Threads of one inference; by default what the bundle was built for.
            verify: `lazy` reads only what the target needs; the self-test reads the rest.
            trusted_key: A public key that must have signed the bundle (needs the `sign` extra;
                every file is read, for the signature is over all of them).
            beams: Where a text is written, how many beginnings are followed at once; by default
                what the recipe said.

        Raises:
            BundleError: The bundle is broken, or has no such target, or none for this processor,
                or was not signed with the key.
        """
        root = Path(bundle)
        if trusted_key is not None:
            from .signature import verify_signature  # only here, because it imports model_signing

            verify_signature(root, Path(trusted_key))
        found = read_bundle(root, verify)
        if verify == "lazy":
            chosen, _ = choose_target(found, target)
            found.check_hashes(found.files_of(chosen))
        return cls.from_bundle(found, target, threads, beams)

    @classmethod
    def from_bundle(
        cls,
        bundle: Bundle,
        target: str | None = None,
        threads: int | None = None,
        beams: int | None = None,
    ) -> "Engine":
        """Open a bundle that is already verified; arguments and errors are those of `open`."""
        manifest = bundle.manifest
        chosen, reason = choose_target(bundle, target)
        threads = threads or chosen.threads
        opened = open_writer if TASKS[manifest.task].generates else open_target
        runner = opened(bundle.root, chosen, threads)
        description = (
            f"{chosen.name}: {chosen.runtime}, {chosen.precision} for {chosen.isa}, "
            f"{_count(threads, 'thread')}; {reason}"
        )
        tokenizer = Tokenizer(bundle.root / TOKENIZER, manifest.max_length, manifest.truncation)
        return cls(
            tokenizer,
            runner,
            manifest.labels,
            description,
            manifest.task,
            manifest.thresholds,
            manifest.pairs,
            _language(bundle.root, manifest.task, beams),
        )

    @classmethod
    def from_model_folder(cls, folder: Path, threads: int = 1) -> "Engine":
        """Run a model folder in PyTorch (needs the `compress` extra)."""
        about = json.loads((folder / "pocketbert.json").read_text())
        tokenizer = Tokenizer(
            folder / TOKENIZER, about["max_length"], Truncation(**about.get("truncation", {}))
        )
        description = f"PyTorch eager, float32, {_count(threads, 'thread')}"
        kind = about.get("kind", "text-classification")  # older folders knew no other
        opened = open_writing_folder if TASKS[kind].generates else open_model_folder
        runner = opened(folder, threads)
        thresholds = about.get("thresholds", ())
        language = _language(folder, kind)
        labels = about["labels"]
        return cls(tokenizer, runner, labels, description, kind, thresholds, language=language)

    @classmethod
    def from_onnx(
        cls,
        folder: Path,
        labels: Sequence[str],
        max_length: int,
        threads: int = 1,
        kind: str = "text-classification",
        truncation: Truncation = HEAD,
        file: str = "model.onnx",
    ) -> "Engine":
        """Run a folder as the export writes it: an ONNX file, `tokenizer.json`, thresholds."""
        tokenizer = Tokenizer(folder / TOKENIZER, max_length, truncation)
        from .runners.ort_writer import open_graph  # only here, because it imports onnxruntime

        runner = open_graph(folder / file, TASKS[kind].generates, threads=threads)
        description = f"onnxruntime, exported graph, {_count(threads, 'thread')}"
        thresholds, language = read_thresholds(folder), _language(folder, kind)
        return cls(tokenizer, runner, labels, description, kind, thresholds, language=language)

    def __call__(self, texts: Sequence[Text], batch_size: int = 1) -> list[Any]:
        """Answer texts; an empty text is a text.

        Args:
            texts: The texts, each a string, or two of them where the task reads pairs.
            batch_size: Texts of one inference; larger is faster only where threads are free.

        Returns:
            For each text a dataclass of the task's file in `deploy/tasks/`, such as
            `Classification`.
        """
        if self._task.per_word:
            return list(self._task.answers(*self.read_words(texts, batch_size), texts))
        if self._task.generates:
            return list(self._task.answers(self._write(texts, batch_size)))
        return list(self._task.answers(self.logits(texts, batch_size)))

    def stream(self, texts: Iterable[Text], batch_size: int = 1) -> Iterator[Any]:
        """Answer texts while they come, in their order and in bounded memory.

        Args:
            texts: Any number of texts.
            batch_size: Texts of one inference. With 1 every answer follows its text at once; else
                some batches are read ahead, so that texts of like length share one.
        """
        if isinstance(texts, str):
            raise TypeError("texts is one string, expected strings one after the other")
        ahead = 1 if batch_size == 1 else batch_size * BATCHES_READ_AHEAD
        waiting = iter(texts)
        while some := list(islice(waiting, ahead)):
            yield from self(some, batch_size)

    def rows(self, texts: Sequence[Text], batch_size: int = 1) -> list[NDArray[np.float32]]:
        """Compute each text's logits. Shape: (labels,), or (words, labels).

        Of a text that is written they are its score and its characters, (1 + characters, 1).
        """
        if self._task.per_word:
            return self.read_words(texts, batch_size)[0]
        if self._task.generates:
            return self._write(texts, batch_size)
        return list(self.logits(texts, batch_size))

    def logits(self, texts: Sequence[Text], batch_size: int = 1) -> NDArray[np.float32]:
        """Compute the logits of texts, in their order.

        Returns:
            Logits (texts, labels); where every word is answered (texts, words, labels), NaN behind
            the last word of a text; of texts that get vectors those (texts, width), of length 1; of
            texts that are written (texts, 1 + characters, 1).
        """
        if self._task.per_word or self._task.generates:
            columns = 1 if self._task.generates else len(self.labels)
            return stack_words(self.rows(texts, batch_size), columns)
        self._check(texts)
        if 0 < len(texts) <= batch_size:  # one inference, as at batch 1: nothing to put in order
            return self._run(texts)
        logits = np.empty((len(texts), len(self.labels)), dtype=np.float32)
        for number, batch in enumerate(_batches(texts, batch_size)):
            found = self._run([texts[index] for index in batch])
            if number == 0:  # the numbers of vectors have no names that would count them
                logits = np.empty((len(texts), found.shape[-1]), dtype=np.float32)
            logits[batch] = found
        return logits

    def read_words(
        self, texts: Sequence[Text], batch_size: int = 1
    ) -> tuple[list[NDArray[np.float32]], list[list[Word]]]:
        """Return of each text what its words get, (words, labels), and the words."""
        self._check(texts)
        readings = [self._task.read(self._tokenizer, text) for text in texts]
        logits = [np.empty((0, len(self.labels)), dtype=np.float32)] * len(texts)
        for batch in _batches(texts, batch_size):
            rows = [row for index in batch for row in readings[index].rows]
            found = self._run_rows(rows, batch_size)
            for index in batch:
                of_text = [next(found) for _ in readings[index].rows]
                logits[index] = self._task.gather(of_text, readings[index].words)
        return logits, [reading.words for reading in readings]

    def _write(self, texts: Sequence[Text], batch_size: int) -> list[NDArray[np.float32]]:
        """Return what is written for each text, as numbers. Shape: (1 + characters, 1)."""
        self._check(texts)
        assert self._language is not None
        found = [np.empty((0, 1), dtype=np.float32)] * len(texts)
        for batch in _batches(texts, batch_size):
            inputs = self._tokenizer.encode([texts[index] for index in batch])
            written = self._runner.write(inputs, self._language)
            for index, one in zip(batch, written, strict=True):
                text = self._language.tokenizer.decode(one.ids)
                found[index] = as_numbers(text, one.score)
        return found

    def _run_rows(self, rows: Sequence[Row], batch_size: int) -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(rows), batch_size):
            yield from self._runner.run(self._tokenizer.pad(rows[start : start + batch_size]))

    def _check(self, texts: Sequence[Text]) -> None:
        if isinstance(texts, str):
            raise TypeError("texts is one string, expected a list of strings")
        if self.pairs is None:
            return
        expected = "two strings, which are read together" if self.pairs else "one string"
        for text in texts:
            if isinstance(text, str) == self.pairs:
                raise DataError(f"a text is {text!r}, expected {expected}; the bundle says so")

    def _run(self, texts: Sequence[Text]) -> NDArray[np.float32]:
        if self._tokenizer.truncation.keep == "windows":
            return pooled_logits(self._tokenizer, self._runner, texts)
        logits: NDArray[np.float32] = self._runner.run(self._tokenizer.encode(texts))
        return logits

    def less_thresholds(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a text's logits such that 0 decides what its thresholds decide. Same shape."""
        return self._task.less_thresholds(logits) if self.thresholds else logits

    def best_thresholds(
        self, texts: Sequence[Text], labels: NDArray[Any], batch_size: int
    ) -> list[float]:
        """Choose the task's thresholds on texts whose answers are known.

        Args:
            texts: The texts.
            labels: What is right. Shape: (texts, ...).
            batch_size: Texts of one inference.
        """
        if self._task.per_word:
            found = self.read_words(texts, batch_size)
            return self._task.best_thresholds(*found, texts, labels)
        return self._task.best_thresholds(self.rows(texts, batch_size), (), texts, labels)

    def largest_difference(
        self, ours: Sequence[NDArray[np.float32]], theirs: Sequence[NDArray[np.float32]]
    ) -> float:
        """Return how far two engines' answers are apart, given each text's logits by `rows`."""
        pairs = zip(ours, theirs, strict=True)
        return max((self._task.difference(*pair) for pair in pairs), default=0.0)

    def weight(self, rows: Sequence[NDArray[np.float32]]) -> float:
        """Return the size of the largest logit, which differences are measured by."""
        return max(map(self._task.weight, rows), default=0.0)

    def describe(self) -> str:
        """Say what runs, and why."""
        return self._description


def _batches(texts: Sequence[Text], batch_size: int) -> Iterator[list[int]]:
    order = list(range(len(texts)))
    if batch_size > 1:  # neighbours in length waste the least on padding
        order.sort(key=lambda index: characters(texts[index]))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def _language(folder: Path, kind: str, beams: int | None = None) -> Language | None:
    if not TASKS[kind].generates:
        if beams is not None:
            raise DataError(f"beams is {beams}, expected none: the task {kind!r} writes no texts")
        return None
    language = Language.open(folder)
    return language if beams is None else language.with_beams(beams)


def read_thresholds(folder: Path) -> tuple[float, ...]:
    """Read what the export stage chose of thresholds; most tasks have none."""
    path = folder / THRESHOLDS
    return tuple(json.loads(path.read_text())) if path.is_file() else ()


def stack_words(logits: Sequence[NDArray[np.float32]], labels: int) -> NDArray[np.float32]:
    """Stack logits of texts with different numbers of words. Shape: (texts, words, labels).

    Args:
        logits: Of each text. Shape: (words, labels).
        labels: How many there are.
    """
    longest = max(map(len, logits), default=0)
    stacked = np.full((len(logits), longest, labels), np.nan, dtype=np.float32)
    for row, values in enumerate(logits):
        stacked[row, : len(values)] = values
    return stacked


def choose_target(bundle: Bundle, name: str | None) -> tuple[Target, str]:
    """Pick the target asked for, or the first that this machine can run, and say why."""
    targets = bundle.manifest.targets
    named = [target for target in targets if name in (None, target.name)]
    if not named:
        names = ", ".join(target.name for target in targets)
        raise BundleError(f"the bundle has no target {name!r}, expected one of: {names}")
    passed_over: list[str] = []
    for target in named:
        reason = why_not_here(bundle.root, target)
        if reason is None:
            why = "asked for" if name else "the first that this machine can run"
            return target, "; ".join([why, *passed_over])
        passed_over.append(f"{target.name} cannot run here: {reason}")
    raise BundleError(
        f"{'; '.join(passed_over)}; take the bundle to a machine that can, install what is "
        "missing, or compile for this machine (compile.isa and compile.target in the recipe)"
    )


def why_not_here(root: Path, target: Target) -> str | None:
    """Say why this machine cannot run a target of the bundle in `root`; None if it can."""
    available = available_isas()
    if target.isa not in available:
        return (
            f"it was compiled for {target.isa}, this processor has "
            f"{', '.join(available[:-1]) or 'none of the known instruction sets'}"
        )
    return why_not(target.runtime) or why_not_built(root, target)


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
