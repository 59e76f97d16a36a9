"""Which single weights stay: masks over the encoder's matrices, and how they come about."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from .config import SparsifyConfig
from .errors import ModelError
from .surgery import BertClassifier, bert_layers


class Masked(nn.Module):
    """A weight with zeros where its mask is, put on a Linear as a parametrization.

    The gradient passes the mask unchanged, so that a weight that went can come back when masks are
    chosen anew (straight-through; Zhou et al. 2021, equation 2). Mask and movement are buffers, so
    that they lie in a checkpoint with the weights.

    Args:
        weight: What is masked. Shape: (outputs, inputs).
    """

    mask: Tensor
    movement: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", torch.ones_like(weight, dtype=torch.bool))
        self.register_buffer("movement", torch.zeros_like(weight))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight as the model sees it; what is masked is exactly 0."""
        return weight + (weight.where(self.mask, 0) - weight).detach()


class ChooseMasks(TrainerCallback):
    """Chooses masks during a training.

    They follow the step, the weights and the buffers alone, so that a training that was killed goes
    on as it would have.

    Args:
        linears: Matrices with a mask.
        config: How much, by which scores, and until when.
    """

    def __init__(self, linears: Sequence[nn.Linear], config: SparsifyConfig) -> None:
        self.linears, self.config = linears, config

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Called by the trainer; refuses a training that could only keep unfinished masks."""
        every = int(args.eval_steps or 1)
        last_evaluation = state.max_steps // every * every
        if last_evaluation <= self._last_choice(state):
            raise ModelError(
                f"sparsify.reached is {self.config.reached:g} and the last evaluation is at step "
                f"{last_evaluation} of {state.max_steps}, expected one after the masks are final; "
                "raise sparsify.training.evaluations_per_epoch or lower sparsify.reached"
            )

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Called by the trainer."""
        step, last = state.global_step, self._last_choice(state)
        if step == last or (step < last and step % self.config.update_every == 0):
            choose_masks(self.linears, self.config, sparsity_at(step / max(last, 1), self.config))

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Called by the trainer; movement is the sum of -w dL/dw (Sanh et al. 2020, equation 3)."""
        if self.config.scores == "movement":
            for linear in self.linears:
                weight = original(linear)
                assert weight.grad is not None
                masked_of(linear).movement -= weight.detach() * weight.grad

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Called by the trainer; weights from before the masks were final are never the best."""
        if (state.best_global_step or 0) <= self._last_choice(state):
            state.best_metric = None

    def _last_choice(self, state: TrainerState) -> int:
        return math.ceil(self.config.reached * state.max_steps)


def add_masks(model: BertClassifier) -> list[nn.Linear]:
    """Put a mask that hides nothing on every weight matrix of the encoder's layers.

    Raises:
        ModelError: The model is not BERT-shaped.
    """
    linears = encoder_linears(model)
    for linear in linears:
        parametrize.register_parametrization(linear, "weight", Masked(linear.weight.detach()))
    return linears


def make_permanent(linears: Sequence[nn.Linear]) -> None:
    """Replace masked weights by what the model sees of them."""
    for linear in linears:
        parametrize.remove_parametrizations(linear, "weight", leave_parametrized=True)


def encoder_linears(model: BertClassifier) -> list[nn.Linear]:
    """Return the weight matrices of the encoder's layers, in order."""
    return [m for layer in bert_layers(model) for m in layer.modules() if isinstance(m, nn.Linear)]


def masked_of(linear: Any) -> Masked:
    """Return the mask of a matrix."""
    masked = linear.parametrizations.weight[0]
    assert isinstance(masked, Masked)
    return masked


def original(linear: Any) -> nn.Parameter:
    """Return all of a masked matrix."""
    weight = linear.parametrizations.weight.original
    assert isinstance(weight, nn.Parameter)
    return weight


def choose_masks(linears: Sequence[nn.Linear], config: SparsifyConfig, sparsity: float) -> None:
    """Set every mask by the scores that the weights have now."""
    scores = [
        original(linear).detach().abs()
        if config.scores == "magnitude"
        else masked_of(linear).movement
        for linear in linears
    ]
    masks = PATTERNS[config.pattern](scores, sparsity)
    for linear, mask in zip(linears, masks, strict=True):
        masked_of(linear).mask.copy_(mask)


def unstructured(scores: Sequence[Tensor], sparsity: float) -> list[Tensor]:
    """Keep the weights with the highest scores, all matrices together."""
    everything = torch.cat([score.flatten() for score in scores])
    gone = everything.argsort(stable=True)[: round(sparsity * len(everything))]
    kept = torch.ones_like(everything, dtype=torch.bool)
    kept[gone] = False
    parts = kept.split([score.numel() for score in scores])
    return [part.view_as(score) for part, score in zip(parts, scores, strict=True)]


def two_of_four(scores: Sequence[Tensor], sparsity: float) -> list[Tensor]:
    """Keep the best two of every four weights along the inputs, as sparse tensor cores want it."""
    masks = []
    for score in scores:
        fours = score.reshape(-1, 4)
        best = fours.topk(2, dim=1).indices
        masks.append(torch.zeros_like(fours, dtype=torch.bool).scatter(1, best, True))
    return [mask.view_as(score) for mask, score in zip(masks, scores, strict=True)]


# Pattern -> (scores of every matrix, fraction to remove) -> what stays of every matrix.
PATTERNS = {"unstructured": unstructured, "2:4": two_of_four}


def sparsity_at(share: float, config: SparsifyConfig) -> float:
    """Return the sparsity at a share of the way."""
    final = 0.5 if config.sparsity is None else config.sparsity
    return final * cubic(share)


def cubic(share: float) -> float:
    """Return how much is gone at a share of the way: much at first (Zhu and Gupta 2017)."""
    return 1 - (1 - min(share, 1.0)) ** 3
