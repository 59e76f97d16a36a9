"""Scores by L0 regularisation: gates on heads and neurons that learn to close.

A gate is open, shut or in between by chance, and is trained through the chance (Louizos et al.
2018); Lagrange multipliers hold the expected share of shut gates at what is asked (Wang et al.
2020; with distillation CoFi, Xia et al. 2022, section 3).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .config import PruneConfig
from .scoring import Scoring
from .surgery import BertClassifier
from .training import OwnRate
from .unit_masks import UnitMask, add_masks

# Of the hard concrete distribution (Louizos et al. 2018, section 4): temperature, and the interval
# that is cut to 0..1, so that the two ends have a probability of their own.
TEMPERATURE, LOW, HIGH = 2 / 3, -0.1, 1.1
# A gate without noise is exactly 1 from here on, so that training begins near the student as it is.
START = math.log((1 - LOW) / (HIGH - 1))


class HardConcreteGates(UnitMask):
    """Gates that are drawn anew for each text.

    Attributes:
        log_alpha: Location of each gate. Shape: (units,)
    """

    def __init__(self, units: int) -> None:
        super().__init__(units)
        self.log_alpha = nn.Parameter(torch.full((units,), START))

    def scores(self) -> Tensor:
        """Return the probability of not being shut (Louizos et al. 2018, equation 12)."""
        return (self.log_alpha - TEMPERATURE * math.log(-LOW / HIGH)).sigmoid()

    def factors(self, texts: int) -> Tensor:
        """Draw gates from 0 to 1 (Louizos et al. 2018, equation 10)."""
        noise = torch.rand(texts, len(self.kept), device=self.kept.device).logit(eps=1e-6)
        soft = ((noise + self.log_alpha) / TEMPERATURE).sigmoid()
        return (soft * (HIGH - LOW) + LOW).clamp(0, 1)


class SparsityLagrangian(nn.Module):
    """What it costs that the expected share of shut gates is not the one asked.

    `first * (share - target) + second * (share - target)^2` (Wang et al. 2020), which
    gates lower and multipliers raise; the target rises on a straight line.

    Args:
        gates: Heads' or neurons' gates of all layers.
        target: Share of gates to be shut at last.
        reached: Share of the training after which the target no longer rises.
    """

    def __init__(self, gates: Sequence[UnitMask], target: float, reached: float) -> None:
        super().__init__()
        self.gates = tuple(gates)  # a tuple, because the student owns them
        self.target, self.reached = target, reached
        self.first, self.second = (nn.Parameter(torch.zeros(())) for _ in range(2))
        for multiplier in (self.first, self.second):
            multiplier.register_hook(torch.neg)  # the optimizer descends

    def shut(self) -> Tensor:
        """Return the expected share of shut gates. Shape: ()."""
        return 1 - torch.cat([gates.scores() for gates in self.gates]).mean()

    def forward(self, progress: float) -> Tensor:
        """Return the cost at a share of the training. Shape: ()."""
        miss = self.shut() - self.target * min(1.0, progress / self.reached)
        return self.first * miss + self.second * miss.square()


class _Penalty(nn.Module):
    """Heads and neurons have multipliers of their own, because each have a share of their own."""

    def __init__(self, heads: SparsityLagrangian, neurons: SparsityLagrangian) -> None:
        super().__init__()
        self.heads, self.neurons = heads, neurons

    def forward(self, progress: float) -> Tensor:
        cost: Tensor = self.heads(progress) + self.neurons(progress)
        return cost


def l0_gates(model: BertClassifier, config: PruneConfig) -> Scoring:
    """Put gates on a model.

    Raises:
        ModelError: The model is not BERT-shaped.
    """
    assert config.scores is not None
    assert config.scores.gate_learning_rate is not None
    heads, neurons = add_masks(model, HardConcreteGates)
    penalty = _Penalty(
        SparsityLagrangian(heads, config.heads, config.scores.reached),
        SparsityLagrangian(neurons, config.neurons, config.scores.reached),
    )
    gates = [parameter for mask in (*heads, *neurons) for parameter in mask.parameters()]
    rate = OwnRate([*gates, *penalty.parameters()], config.scores.gate_learning_rate)
    return Scoring(heads, neurons, penalty=penalty, own_rates=[rate])
