"""Scores of heads and neurons that the student learns while it learns from its teacher."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    PreTrainedTokenizerBase,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from .block_movement import block_movement
from .config import PruneConfig
from .errors import ModelError
from .importance import check_block_fits, keep_best_blocks
from .l0_gates import l0_gates
from .lesson import Lesson, learn_from_teacher
from .scoring import Scoring
from .sparse_masks import cubic
from .surgery import BertClassifier
from .unit_masks import UnitMask, remove_masks

# Method -> what puts its masks on a model.
SCORERS: dict[str, Callable[[BertClassifier, PruneConfig], Scoring]] = {
    "l0": l0_gates,
    "movement": block_movement,
}


@dataclass(frozen=True)
class LearnedScores:
    """What a training says about heads and neurons.

    Attributes:
        heads: Layer by layer how much each is worth to be kept. Shape: (heads,)
        neurons: The same. Shape: (neurons,)
        summary: For people: method, steps, epochs, and the accuracy behind the masks.
    """

    heads: list[Tensor]
    neurons: list[Tensor]
    summary: dict[str, Any]


def learn_scores(
    model: BertClassifier,
    tokenizer: PreTrainedTokenizerBase,
    config: PruneConfig,
    lesson: Lesson,
    out: Path,
) -> LearnedScores:
    """Train a student in place together with scores of its heads and neurons.

    Afterwards its masks are away, and no unit is gone yet. The checkpoints stay in `out`, so that a
    stage that is killed later finds the trained scores.

    Args:
        model: A BERT-shaped classifier.
        tokenizer: Its tokenizer.
        config: The method and how much is to go.
        lesson: What it learns from.
        out: For checkpoints.

    Raises:
        ModelError: The model or the objectives do not fit, or the training ends before enough
            units are off.
    """
    scores, objectives = config.scores, config.scores_objectives
    assert scores is not None
    assert objectives is not None
    check_block_fits(model, config.neuron_multiple)
    scoring = SCORERS[scores.method](model, config)
    result, _ = learn_from_teacher(
        model,
        tokenizer,
        objectives,
        scores.training,
        lesson,
        out=out,
        title="Learn scores",
        callbacks=[*scoring.callbacks, FollowScores(scoring, config)],
        penalty=scoring.penalty,
        own_rates=scoring.own_rates,
    )
    heads, neurons = _scores_of(scoring.heads), _scores_of(scoring.neurons)
    remove_masks(model)
    summary = {
        "method": scores.method,
        "steps": result.steps,
        "epochs": round(result.epochs, 3),
        f"validation_{result.metric}": result.best_score,
    }
    return LearnedScores(heads, neurons, summary)


class FollowScores(TrainerCallback):
    """Chooses after each step which units would stay, and lets the last evaluation's weights count.

    Fewer and fewer units stay, along a cubic curve. Earlier evaluations had more of them and would
    be the best for that.

    Args:
        scoring: The masks.
        config: How much is to go, and until when.
    """

    def __init__(self, scoring: Scoring, config: PruneConfig) -> None:
        assert config.scores is not None
        self.reached = config.scores.reached
        self.kinds = (
            (scoring.heads, config.heads, 1),
            (scoring.neurons, config.neurons, config.neuron_multiple),
        )

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Called by the trainer; refuses a training whose last evaluation comes too early."""
        every = int(args.eval_steps or 1)
        last_evaluation = state.max_steps // every * every
        if last_evaluation < self._all_gone(state):
            raise ModelError(
                f"prune.scores.reached is {self.reached:g} and the last evaluation is at step "
                f"{last_evaluation} of {state.max_steps}, expected one when all units that go are "
                "off; raise prune.scores.training.evaluations_per_epoch or lower "
                "prune.scores.reached"
            )

    @torch.no_grad()
    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Called by the trainer."""
        share = cubic(state.global_step / self._all_gone(state))
        for masks, fraction, block in self.kinds:
            scores = [mask.scores() for mask in masks]
            units = (1 - fraction * share) * sum(len(layer) for layer in scores)
            for mask, best in zip(masks, keep_best_blocks(scores, units, block), strict=True):
                mask.kept.zero_()[best] = 1

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Called by the trainer."""
        state.best_metric = None

    def _all_gone(self, state: TrainerState) -> int:
        return math.ceil(self.reached * state.max_steps)


def _scores_of(masks: Sequence[UnitMask]) -> list[Tensor]:
    return [mask.scores().detach().clone() for mask in masks]
