"""Finished stages, kept by what they were made of.

`<folder>/<stage>-<fingerprint[:12]>/` holds a stage's files; its `stage.json` is written last, so a
stage that was interrupted is simply not there, and what it left is its own to resume from.
"""

import dataclasses
import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pocketbert.compress.config import ADDED_LATER
from pocketbert.compress.errors import UserError

from .record import (
    RECORD,
    describe_files,
    forget_scratch,
    library_versions,
    read_record,
    verify,
)
from .storage import disk_problems_explained, write_whole

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Stage:
    """A kind of work.

    Attributes:
        function: `module:function`, imported only when there is work.
        version: Raised when the function's result changes.
    """

    function: str
    version: int = 1


@dataclasses.dataclass(frozen=True)
class Step:
    """A stage with all that decides its result.

    Attributes:
        name: The stage's name.
        stage: The kind of work.
        params: Keyword arguments; a path is the folder of an earlier step.
        fingerprint: Hash of name, version, params and sources.
        folder: Where its files are or will be.
    """

    name: str
    stage: Stage
    params: dict[str, Any]
    fingerprint: str
    folder: Path


@dataclasses.dataclass(frozen=True)
class StageResult:
    """A finished stage.

    Attributes:
        name: The stage's name.
        folder: Its files.
        fingerprint: What it was made of.
        summary: What the function returned.
        seconds: Work of the try that finished.
        cached: Nothing had to be done.
    """

    name: str
    folder: Path
    fingerprint: str
    summary: dict[str, Any]
    seconds: float
    cached: bool


class StageCache:
    """The stages below one folder; several processes may use it at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    def step(
        self, name: str, stage: Stage, params: Mapping[str, Any], sources: Sequence[str] = ()
    ) -> Step:
        """Describe work without doing it.

        Args:
            name: The stage's name.
            stage: The kind of work.
            params: The function's keyword arguments but `out`.
            sources: Fingerprints of files that the params only name.
        """
        described = json.dumps(
            {
                "stage": name,
                "version": stage.version,
                "params": self._canonical(params),
                "sources": list(sources),
            },
            sort_keys=True,
        )
        fingerprint = hashlib.sha256(described.encode()).hexdigest()
        folder = self.folder / f"{name}-{fingerprint[:12]}"
        return Step(name, stage, dict(params), fingerprint, folder)

    def finished(self, step: Step) -> StageResult | None:
        """Return the step's result if it is there and unchanged.

        A file whose size and time are those recorded counts as unchanged; its bytes are hashed
        before another stage reads them.

        Raises:
            UserError: The step's files were changed.
        """
        record = read_record(step.folder)
        if record is None:
            return None
        verify(step.folder, record, every_byte=False)
        return StageResult(
            step.name,
            step.folder,
            step.fingerprint,
            record["summary"],
            record["seconds"],
            cached=True,
        )

    def run(self, step: Step, /, **notes: Any) -> StageResult:
        """Return the step's result, doing the work if it was not done yet.

        Args:
            step: The work.
            **notes: Further keyword arguments, which do not decide the result.

        Raises:
            UserError: The disk is full or read-only, or an input was changed.
        """
        with disk_problems_explained(step.folder):
            result = self.finished(step)
            if result is None:
                step.folder.mkdir(parents=True, exist_ok=True)
                with self._locked(step):
                    # Another process may have done it while this one waited.
                    result = self.finished(step) or self._work(step, notes)
        return result

    def _work(self, step: Step, notes: dict[str, Any]) -> StageResult:
        for folder in self._inputs(step.params):
            self._check_input(folder)
        forget_scratch(step.folder)
        resumed = any(step.folder.iterdir())
        logger.info("%s: %s", step.name, "resuming" if resumed else "starting")
        started, started_s = datetime.now(timezone.utc), time.monotonic()
        module, _, function = step.stage.function.partition(":")
        work = getattr(import_module(module), function)
        summary = work(out=step.folder, **step.params, **notes)
        seconds = time.monotonic() - started_s
        record = {
            "stage": step.name,
            "function": step.stage.function,
            "version": step.stage.version,
            "fingerprint": step.fingerprint,
            "params": self._canonical(step.params),
            "summary": summary,
            "seconds": seconds,
            "started": started.isoformat(timespec="seconds"),
            "resumed": resumed,
            "libraries": library_versions(),
            "files": describe_files(step.folder),
        }
        write_whole(step.folder / RECORD, json.dumps(record, indent=2))
        logger.info("%s: done in %.1f s%s", step.name, seconds, _headline(summary))
        return StageResult(step.name, step.folder, step.fingerprint, summary, seconds, cached=False)

    @contextmanager
    def _locked(self, step: Step) -> Iterator[None]:
        lock = FileLock(step.folder.with_name(f"{step.folder.name}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            logger.warning("%s: another run is at it, waiting until it is done", step.name)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _inputs(self, params: Any) -> set[Path]:
        """Find the folders of this cache that params name, however deep."""
        if isinstance(params, Mapping):
            return {folder for item in params.values() for folder in self._inputs(item)}
        if isinstance(params, list | tuple):
            return {folder for item in params for folder in self._inputs(item)}
        if dataclasses.is_dataclass(params) and not isinstance(params, type):
            return self._inputs(dataclasses.asdict(params))
        if isinstance(params, str | Path) and self.folder in Path(params).parents:
            return {self.folder / Path(params).relative_to(self.folder).parts[0]}
        return set()

    def _check_input(self, folder: Path) -> None:
        record = read_record(folder)
        if record is None:
            raise UserError(f"{folder} is gone, expected a finished stage; run the recipe again")
        verify(folder, record, every_byte=True)

    def _canonical(self, value: Any) -> Any:
        """Make JSON of params; a folder of the cache counts by its name, wherever the cache is."""
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            value = {
                field.name: getattr(value, field.name)
                for field in dataclasses.fields(value)
                if not (
                    ADDED_LATER.items() <= field.metadata.items()
                    and getattr(value, field.name) == field.default
                )
            }
        if isinstance(value, Mapping):
            return {str(key): self._canonical(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._canonical(item) for item in value]
        if isinstance(value, Path):
            return value.relative_to(self.folder).as_posix()
        if isinstance(value, str):
            return value.removeprefix(f"{self.folder}/")
        if value is None or isinstance(value, bool | int | float):
            return value
        raise TypeError(f"{value!r} is a {type(value).__name__}, expected what JSON can say")


def _headline(summary: Mapping[str, Any]) -> str:
    """The plain values of a summary: `, parameters 14,350,248, precision float32`."""
    shown = {float: "{:.4g}", int: "{:,}", str: "{}"}
    return "".join(
        f", {name.replace('_', ' ')} {shown[type(value)].format(value)}"
        for name, value in summary.items()
        if type(value) in shown
    )
