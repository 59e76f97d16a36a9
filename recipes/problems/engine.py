"""What INT8, the targets and the gates need of other sections."""

from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING

from pocketbert.deploy.config import CompileConfig
from pocketbert.eval.config import EvaluateConfig
from pocketbert.eval.gates import ACCURACY, parse_gate

if TYPE_CHECKING:
    from ..schema import Recipe


def missing_problems(recipe: "Recipe") -> Iterator[str]:
    """Yield which sections every recipe with an engine needs."""
    for needed, config in (("compile", CompileConfig), ("evaluate", EvaluateConfig)):
        if getattr(recipe, needed) is None:
            keys = ", ".join(each.name for each in fields(config))
            yield f"{needed} is missing, expected a section with the keys {keys}"
    learns = any(section.training for section in recipe.learning.values())
    if recipe.transfer is not None and not learns:
        yield (
            "transfer is a section, expected none without distill, prune.training, prune.scores, "
            "sparsify.training or qat, which learn from it"
        )


def int8_problems(recipe: "Recipe") -> Iterator[str]:
    """Yield what INT8 and learning for it need."""
    if recipe.qat and not recipe.quantize:
        yield "qat is a section, expected none (null) without quantize, which it prepares for"
    if recipe.compile and recipe.compile.also_isa and not recipe.quantize:
        yield (
            f"compile.also_isa is {list(recipe.compile.also_isa)}, expected none without quantize, "
            "because a float model runs on any processor"
        )
    isa = recipe.compile.isa if recipe.compile else None
    if recipe.qat and recipe.qat.weight_bits == 8 and isa == "x86_64":
        yield (
            "qat.weight_bits is 8, expected 7 because compile.isa is x86_64, whose products of 8 "
            "bits saturate without VNNI"
        )
    if recipe.qat and recipe.sparsify:
        yield (
            "qat is a section, expected none (null) beside sparsify, whose zeros its training "
            "would fill"
        )


def method_problems(recipe: "Recipe") -> Iterator[str]:
    """Yield which targets a method of INT8 has no layout for."""
    if recipe.quantize is None or recipe.compile is None or recipe.quantize.calibrated:
        return
    for target in (recipe.compile.target, *recipe.compile.also):
        if target != "onnxruntime":
            yield (
                f"quantize.method is {recipe.quantize.method}, expected static or smoothquant with "
                f"{target} in compile, because ONNX Runtime alone runs that layout (auto tries "
                "dynamic by itself)"
            )


def gate_problems(recipe: "Recipe") -> Iterator[str]:
    """Yield which gates cannot be read or speak of another metric."""
    if not recipe.gates:
        return
    from pocketbert.eval.tasks import MEASURES  # only here, because it imports scipy

    judged_by = MEASURES[recipe.task.kind].name
    for number, text in enumerate(recipe.gates):
        try:
            gate = parse_gate(text, recipe.named_targets)
        except ValueError as error:
            yield f"gates.{number} is {text!r}, {error}"
            continue
        if gate.metric in ACCURACY and judged_by != "accuracy":
            neutral = gate.metric.replace("accuracy", "metric")
            yield (
                f"gates.{number} is {text!r}, expected {neutral}, because task.kind "
                f"{recipe.task.kind} is judged by {judged_by}"
            )
