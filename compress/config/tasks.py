"""The kinds of tasks, as far as a recipe must know them."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TaskKind:
    """What sets a kind of task apart.

    Attributes:
        labelled: Every example has one of the labels that `task.labels` names.
        to_engine: All stages know it; else a recipe ends with the teacher.
    """

    labelled: bool
    to_engine: bool


TASK_KINDS = {
    "text-classification": TaskKind(labelled=True, to_engine=True),
    "masked-language-model": TaskKind(labelled=False, to_engine=False),
}
