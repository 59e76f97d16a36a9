"""Two artifacts, or two methods with several seeds each, on the same examples, from predictions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.errors import DataError
from pocketbert.compress.texts import parts

from .config import EvaluateConfig
from .intervals import Interval, proportion
from .pooled import pooled_difference, pooled_retention
from .predictions import Predictions, check_same_examples

WORST = 10
FINE = 0.01


@dataclass(frozen=True, kw_only=True)
class Flip:
    """An example that one gets right and the other wrong.

    Attributes:
        text: The example; of a pair both texts, with a tab between them.
        label: Its true label.
        theirs: The other's answer.
        ours: Our answer.
        probability_lost: Probability of the true label that we give less; below 0 it is gained.
    """

    text: str
    label: str
    theirs: str
    ours: str
    probability_lost: float


@dataclass(frozen=True, kw_only=True)
class Paired:
    """One method against another.

    Attributes:
        ours: What is compared.
        theirs: With what.
        metric: What is compared.
        examples: That both answered.
        seeds: Models of each.
        our_accuracy: The metric, mean over the seeds.
        their_accuracy: The metric, mean over the seeds.
        difference: Ours minus theirs.
        retention: Ours divided by theirs.
        agreement: Fraction of the examples that get the same label; of the first seeds.
        mcnemar_p: Exact p-value that both are right equally often; None with several seeds, and
            for a metric without such a test.
        to_wrong: Examples that theirs gets right and ours wrong; of the first seeds.
        to_right: The other way round.
        worst: Those of `to_wrong` whose true label lost most, the worst first; of one label a
            text.
        verdict: The difference in words.
        can_tell: How small a difference so many examples can tell, in words.
    """

    ours: str
    theirs: str
    metric: str
    examples: int
    seeds: tuple[int, int]
    our_accuracy: float
    their_accuracy: float
    difference: Interval
    retention: Interval
    agreement: Interval
    mcnemar_p: float | None
    to_wrong: int
    to_right: int
    worst: tuple[Flip, ...]
    verdict: str
    can_tell: str


def compare_predictions(
    ours: Sequence[Predictions], theirs: Sequence[Predictions], config: EvaluateConfig
) -> Paired:
    """Compare two methods on the examples that both answered.

    Args:
        ours: Of each seed's model.
        theirs: Of each seed's model of the other method.
        config: Confidence and resamples.

    Raises:
        DataError: They are not of the same examples, or vectors.
    """
    check_same_examples([*ours, *theirs])
    first, other = ours[0], theirs[0]
    measure, single = first.measure, len(ours) == len(theirs) == 1
    if not measure.of_single_examples:
        raise DataError(
            f"{first.artifact} and {other.artifact} answer with vectors, expected answers that are "
            "right or wrong one by one; compare what eval says of each"
        )
    statistics = [one.statistics for one in ours], [one.statistics for one in theirs]
    of_config = config.confidence, config.resamples
    difference = pooled_difference(measure, *statistics, *of_config)
    to_wrong = (other.each == 1) & (first.each < 1)
    return Paired(
        ours=first.artifact,
        theirs=other.artifact,
        metric=measure.name,
        examples=len(first.texts),
        seeds=(len(ours), len(theirs)),
        our_accuracy=_mean(ours),
        their_accuracy=_mean(theirs),
        difference=difference,
        retention=pooled_retention(measure, *statistics, *of_config),
        agreement=proportion(measure.same(first.logits, other.logits), config.confidence),
        mcnemar_p=measure.p_value(first.statistics, other.statistics) if single else None,
        to_wrong=int(to_wrong.sum()),
        to_right=int(((first.each == 1) & (other.each < 1)).sum()),
        worst=_worst(first, other, to_wrong),
        verdict=verdict_on(difference),
        can_tell=what_it_can_tell(difference, len(first.texts)),
    )


def _mean(seeds: Sequence[Predictions]) -> float:
    return float(np.mean([one.measure.of_means(one.statistics.mean(axis=0)) for one in seeds]))


def verdict_on(difference: Interval) -> str:
    """A difference of two metrics in words, no stronger than its interval."""
    if difference.holds(0):
        return "no measurable difference"
    return "more accurate" if difference.value > 0 else "less accurate"


def what_it_can_tell(difference: Interval, examples: int) -> str:
    """Say how fine a gate these examples can decide; an interval narrows with their square root."""
    half = (difference.high - difference.low) / 2
    if half == 0:
        return f"both are right on the same examples; {examples:,} of them show nothing finer"
    needed = int(np.ceil(examples * (half / FINE) ** 2))
    wide = (
        f"the interval reaches {100 * half:.1f} points to either side: {examples:,} examples leave "
        "a gate within that distance undecided"
    )
    return f"{wide}; 1 point would take some {needed:,}" if half > FINE else wide


def _worst(ours: Predictions, theirs: Predictions, to_wrong: NDArray[np.bool_]) -> tuple[Flip, ...]:
    if not ours.one_label:
        return ()
    everyone = np.arange(len(ours.truth))
    lost = (theirs.probabilities - ours.probabilities)[everyone, ours.truth]
    rows = sorted(np.nonzero(to_wrong)[0].tolist(), key=lambda row: -lost[row])
    return tuple(
        Flip(
            text="\t".join(parts(ours.texts[row])),
            label=ours.labels[ours.truth[row]],
            theirs=theirs.labels[theirs.answers[row]],
            ours=ours.labels[ours.answers[row]],
            probability_lost=float(lost[row]),
        )
        for row in rows[:WORST]
    )
