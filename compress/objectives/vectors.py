"""Objectives on the vectors of texts."""

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from ..config import CosineConfig, SimilaritiesConfig
from ..states import ModelOutput
from ..teacher_outputs import TeacherOutputs
from .objective import Objective, check_answers


class Cosine(Objective):
    """One minus the cosine to the teacher's vector of the same text."""

    def __init__(
        self, config: CosineConfig, student: PreTrainedModel, outputs: TeacherOutputs
    ) -> None:
        super().__init__(config, student, outputs)
        check_answers(student, outputs)

    def forward(self, output: ModelOutput, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the mean over the batch."""
        return 1 - functional.cosine_similarity(output.logits, batch["teacher_logits"]).mean()


class Similarities(Objective):
    """Squared error to the teacher's cosines between the texts of a batch.

    Tung and Mori 2019 (similarity-preserving knowledge distillation), on vectors that have length 1
    already. A text's cosine with itself is 1 in both and does not count.
    """

    def __init__(
        self, config: SimilaritiesConfig, student: PreTrainedModel, outputs: TeacherOutputs
    ) -> None:
        super().__init__(config, student, outputs)
        check_answers(student, outputs)

    def forward(self, output: ModelOutput, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the mean over the pairs of different texts, 0 if there is one text."""
        ours, theirs = (
            functional.normalize(vectors.float(), dim=-1)
            for vectors in (output.logits, batch["teacher_logits"])
        )
        texts = len(ours)
        errors = (ours @ ours.T - theirs @ theirs.T).square()
        return (errors.sum() - errors.diagonal().sum()) / max(texts * (texts - 1), 1)
