"""A recipe: the configs of all stages, composed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from pocketbert.compress.config import (
    STRICT,
    TASK_KINDS,
    DataConfig,
    DistillConfig,
    GeneralConfig,
    PruneConfig,
    QatConfig,
    ScoresConfig,
    SparsifyConfig,
    TaskConfig,
    TeacherConfig,
    TransferConfig,
    TrimConfig,
)
from pocketbert.deploy.config import CompileConfig, QuantizeConfig
from pocketbert.eval.config import EvaluateConfig
from pocketbert.eval.gates import Gate, parse_gate

from .problems import problems_between_sections

# Results lie in `<work>/<name>`, beside the cache.
CACHE_FOLDER = "stages"
LearningConfig: TypeAlias = DistillConfig | PruneConfig | ScoresConfig | SparsifyConfig | QatConfig


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """From data and a full model to a measured engine; an absent section skips its stage.

    Attributes:
        name: Names the folder of the results; the file's name if the recipe does not say.
        about: What it makes, in one line.
        seed: For new weights, the order of batches and dropout.
        task: What is predicted.
        data: Where the examples come from.
        teacher: The full model.
        further_teachers: Full models whose logits are averaged with its own.
        transfer: Texts that only the teacher labels.
        general: What the student learns on plain text before it knows the task.
        distill: The student.
        prune: What is removed from the student (from the teacher, without `distill`).
        sparsify: Single weights of it that become zero.
        qat: Training in which it gets used to INT8.
        trim: The tokens that stay in the vocabulary.
        quantize: INT8.
        compile: What the engine is built for.
        evaluate: How much is measured.
        gates: What the engine must reach, each as `eval/gates.py` reads it.
    """

    __pydantic_config__ = STRICT
    name: str
    about: str
    seed: int = 0
    task: TaskConfig
    data: DataConfig
    teacher: TeacherConfig
    further_teachers: tuple[TeacherConfig, ...] = ()
    transfer: TransferConfig | None = None
    general: GeneralConfig | None = None
    distill: DistillConfig | None = None
    prune: PruneConfig | None = None
    sparsify: SparsifyConfig | None = None
    qat: QatConfig | None = None
    trim: TrimConfig | None = None
    quantize: QuantizeConfig | None = None
    compile: CompileConfig | None = None
    evaluate: EvaluateConfig | None = None
    gates: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        problems = [*_own_problems(self), *problems_between_sections(self)]
        if problems:
            raise ValueError("\n".join(problems))

    @property
    def to_engine(self) -> bool:
        """Whether it goes on behind the teacher, which not all kinds of tasks can yet."""
        return TASK_KINDS[self.task.kind].to_engine

    @property
    def parsed_gates(self) -> tuple[Gate, ...]:
        """What the engine must reach."""
        return tuple(parse_gate(text, self.named_targets) for text in self.gates)

    @property
    def named_targets(self) -> tuple[str, ...]:
        """Targets whose names are known before any is built."""
        if self.compile is None:
            return ()
        chosen = self.compile.target
        return self.compile.also if chosen == "auto" else (chosen, *self.compile.also)

    @property
    def learning(self) -> dict[str, LearningConfig]:
        """The sections that may learn from the teacher, as far as they are given."""
        sections = {
            "distill": self.distill,
            "prune.scores": self.prune.scores if self.prune else None,
            "prune": self.prune,
            "sparsify": self.sparsify,
            "qat": self.qat,
        }
        return {name: section for name, section in sections.items() if section}


def _own_problems(recipe: Recipe) -> Iterator[str]:
    safe = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", recipe.name)
    if not safe or recipe.name == CACHE_FOLDER:
        yield (
            f"name is {recipe.name!r}, expected a folder name of letters, digits, '.', '_' and '-' "
            f"(not {CACHE_FOLDER!r})"
        )
    if not recipe.about.strip() or "\n" in recipe.about.strip():
        yield f"about is {recipe.about!r}, expected one line of text"
    if not 0 <= recipe.seed < 2**32:
        yield f"seed is {recipe.seed}, expected an integer from 0 to {2**32 - 1}"
