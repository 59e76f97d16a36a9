"""The kinds of tasks, as far as a recipe must know them."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TaskKind:
    """What sets a kind of task apart.

    Attributes:
        labelled: Examples have labels; else any text will do.
        fewest_labels: How many names `task.labels` has at least; 0 where labels have no names.
        pairs: An example may be two texts.
        to_engine: All stages know it; else a recipe ends with the teacher.
        thresholds: A label is given from a threshold of its own on.
        per_word: A model answers for every word, not for the text.
        vectors: A model answers with a vector and learns from the teacher's alone, which is taken
            as it is; two texts of a row are read apart.
        context: Of its two texts the second is read in windows, each behind the whole first one.
        generates: A model answers with a text that it writes token by token, out of a decoder that
            reads its encoder; what the decoder says next is learned from the teacher alone.
        problem_type: What transformers calls it, for the loss; None where it finds out itself.
        pools_windows: An answer is of the whole text, so that those of its windows can be pooled.
    """

    labelled: bool
    to_engine: bool
    pools_windows: bool = False
    fewest_labels: int = 0
    pairs: bool = False
    thresholds: bool = False
    per_word: bool = False
    vectors: bool = False
    context: bool = False
    generates: bool = False
    problem_type: str | None = None

    @property
    def new_head(self) -> bool:
        """Whether the teacher gets a head for the task's labels, with new weights."""
        return self.labelled and not self.vectors and not self.generates


TASK_KINDS = {
    "text-classification": TaskKind(
        labelled=True, to_engine=True, fewest_labels=2, pairs=True, pools_windows=True
    ),
    "text-regression": TaskKind(
        labelled=True, to_engine=True, pairs=True, pools_windows=True, problem_type="regression"
    ),
    "multi-label-classification": TaskKind(
        labelled=True,
        to_engine=True,
        fewest_labels=1,
        pairs=True,
        thresholds=True,
        pools_windows=True,
        problem_type="multi_label_classification",
    ),
    "token-classification": TaskKind(labelled=True, to_engine=True, fewest_labels=1, per_word=True),
    "sentence-similarity": TaskKind(labelled=True, to_engine=True, vectors=True),
    "text-retrieval": TaskKind(labelled=False, to_engine=True, vectors=True),
    "question-answering": TaskKind(
        labelled=True, to_engine=True, pairs=True, thresholds=True, per_word=True, context=True
    ),
    "translation": TaskKind(labelled=True, to_engine=True, generates=True),
    "masked-language-model": TaskKind(labelled=False, to_engine=False),
}
