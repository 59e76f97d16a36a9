"""Distillation on plain text, before any task."""

from dataclasses import dataclass

from .checks import STRICT, check, check_fraction
from .data import UnlabelledConfig
from .objectives import ObjectivesConfig
from .student import GENERAL, StudentConfig
from .training import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class GeneralConfig:
    """What a student learns from the teacher's checkpoint before either knows the task.

    Attributes:
        texts: Tables of plain texts; labels are not looked at.
        validation: Fraction of the texts held out; the weights with the lowest loss there are kept.
        student: What becomes the checkpoint that `distill.student.init: general` starts from.
        objectives: What is compared: states, and what both read in place of hidden tokens.
        training: How long it learns.
    """

    __pydantic_config__ = STRICT
    texts: tuple[UnlabelledConfig, ...]
    validation: float = 0.05
    student: StudentConfig
    objectives: ObjectivesConfig
    training: TrainingConfig

    def __post_init__(self) -> None:
        check(len(self.texts) > 0, "texts is empty, expected at least one table of plain texts")
        check_fraction("validation", self.validation, low_open=True)
        _check_student(self.student)
        for name, config in self.objectives.chosen.items():
            check(
                config.on_plain_text,
                f"objectives.{name} is a section, expected none (null) in general, where there are "
                "no labels and no answers to a task; use objectives on states such as hidden or "
                "relations",
            )
            weights = config.weight if isinstance(config.weight, tuple) else (config.weight,)
            check(
                len(weights) == 1,
                f"objectives.{name}.weight is {list(weights)}, expected one number in general, "
                "which compares losses of different steps to keep the best weights",
            )


def _check_student(student: StudentConfig) -> None:
    check(
        student.bilstm is None,
        "student.bilstm is a section, expected none (null) in general, because a BiLSTM has no "
        "layers that match the teacher's",
    )
    check(
        student.embedding_rank is None,
        f"student.embedding_rank is {student.embedding_rank}, expected none (null) in general, "
        "which leaves a checkpoint that transformers loads; set distill.student.embedding_rank",
    )
    check(
        student.init != GENERAL,
        f"student.init is {GENERAL!r}, expected 'teacher', 'fresh' or a source in general, which "
        "makes that checkpoint",
    )
