"""The kinds of tasks, as far as a recipe must know them."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TaskKind:
    """What sets a kind of task apart.

    Attributes:
        labelled: Every example has one of the labels that `task.labels` names.
        to_engine: All stages know it; else a recipe ends with the teacher.
        per_word: A model answers for every word, not for the text.
        problem_type: What transformers calls it, for the loss; None where it finds out itself.
        pools_windows: An answer is of the whole text, so that those of its windows can be pooled.
    """

    labelled: bool
    to_engine: bool
    pools_windows: bool = False
    per_word: bool = False
    problem_type: str | None = None


TASK_KINDS = {
    "text-classification": TaskKind(labelled=True, to_engine=True, pools_windows=True),
    "masked-language-model": TaskKind(labelled=False, to_engine=False),
}
