"""The compile stage: the canonical model is lowered for each target and put in a bundle."""

import json
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from pocketbert.compress.data import DataDescription, load_description, load_split
from pocketbert.compress.errors import BundleError
from pocketbert.compress.generation import GENERATION
from pocketbert.compress.target_tokenizer import TARGET_TOKENIZER
from pocketbert.compress.texts import Text

from .bundle import GOLDEN, TOKENIZER, Bundle, Manifest, Target, write_bundle
from .config import CompileConfig
from .cpu import Isa, available_isas
from .engine import read_thresholds, why_not_here
from .golden import golden_answers
from .graph_files import calibration_of, graphs_of
from .runners import build_here, needs_building, why_not, why_not_answering
from .selftest import selftest
from .targets import TARGETS, Built, Ingredients, build_target
from .tasks import TASKS
from .tokenizer import Tokenizer
from .weight_zeros import describe_zeros

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A target to build: its name, its runtime, and the quantize folder that it is made from.

    Also the instruction set, where that is not the one that the bundle is built for.
    """

    name: str
    runtime: str
    quantized: Path | None
    isa: Isa | None = None


def compile_bundle(
    *,
    out: Path,
    config: CompileConfig,
    data: Path,
    exported: Path,
    quantized: Path | None,
    lineage: dict[str, str],
    name: str,
    dynamic: Path | None = None,
) -> dict[str, Any]:
    """Lower a model, look at what the runtimes make of it, and write the bundle.

    Args:
        out: Gets `bundle/`.
        config: Targets, instruction set and threads.
        data: Folder of the data stage; golden texts are validation texts.
        exported: Folder of the export stage.
        quantized: Folder of the quantize stage, or None for a float bundle.
        lineage: Fingerprint of every stage that led here.
        name: Name of the recipe.
        dynamic: Folder of a quantize stage that leaves activations to be quantized while running;
            with target `auto` one more candidate.

    Returns:
        Of the first target: `isa`, `precision`, `int8_matmuls` and `float_weight_matmuls` of the
        graph that really runs, `edits`, `bytes` of the model, zeros among its weights, and how far
        its golden logits are from the float model's. Also `bundle_bytes` of all files and the
        names of all `targets`.
    """
    description = load_description(data)
    tokenizer = Tokenizer(exported / TOKENIZER, description.max_length, description.truncation)
    with tempfile.TemporaryDirectory(dir=out, prefix=".compile-") as scratch_name:
        scratch = Path(scratch_name)
        ingredients = _ingredients(config, exported, description, tokenizer, data)
        built = [
            _build(variant, ingredients, scratch)
            for variant in _variants(config, quantized, dynamic, TASKS[description.kind].per_word)
        ]
        targets = tuple(target for one in built for target in _twins(one.target, config))
        golden, measured = golden_answers(built, targets, exported, tokenizer, data, description)
        (scratch / GOLDEN).write_text(json.dumps(golden) + "\n")
        files = {TOKENIZER: exported / TOKENIZER, GOLDEN: scratch / GOLDEN}
        for one in built:
            files |= one.files
        if TASKS[description.kind].generates:
            files |= {name: exported / name for name in (TARGET_TOKENIZER, GENERATION)}
        if quantized is not None:
            chosen = [calibration_of(graph) for graph in graphs_of(quantized)]
            files |= {name: quantized / name for name in chosen}
        manifest = _manifest(name, targets, description, exported, ingredients, lineage, measured)
        bundle = Bundle(out / "bundle", write_bundle(out / "bundle", files, manifest))
        zeros = describe_zeros(built[0].reference, built[0].files.values())
    for target in targets:
        if needs_building(target.runtime) and why_not(target.runtime) is None:
            logger.info(build_here(bundle, target, rebuild=False, fallback=None))
        reason = why_not_here(bundle.root, target)
        if reason is None:
            _check_here(bundle.root, target.name)
        else:
            logger.warning(
                "%s is not tested: %s; run `pocketbert selftest` where it will run",
                target.name,
                reason,
            )
    return _summary(bundle.root, built[0], targets) | measured | zeros


def _summary(bundle: Path, first: Built, targets: Sequence[Target]) -> dict[str, Any]:
    target = first.target
    return {
        "isa": target.isa,
        "precision": target.precision,
        "int8_matmuls": target.int8_matmuls,
        "float_weight_matmuls": target.float_weight_matmuls,
        "edits": first.edits,
        "bytes": target.bytes,
        "bundle_bytes": sum(f.stat().st_size for f in bundle.rglob("*") if f.is_file()),
        "targets": [target.name for target in targets],
    }


def _variants(
    config: CompileConfig, quantized: Path | None, dynamic: Path | None, per_word: bool
) -> list[Variant]:
    """List what is built, in the order of the bundle; `auto` is every runtime and every method."""
    further = [
        Variant(name=f"onnxruntime-{isa}", runtime="onnxruntime", quantized=quantized, isa=isa)
        for isa in config.also_isa
    ]
    if config.target != "auto":
        return _named((config.target, *config.also), quantized) + further
    methods = {"int8": quantized, "int8-dynamic": dynamic, "float": None}
    candidates = [
        Variant(name=f"{runtime}-{method}", runtime=runtime, quantized=folder)
        for runtime in _tried(per_word)
        for method, folder in methods.items()
        if _can_be_built(runtime, method, folder)
    ]
    names = {variant.name for variant in candidates}
    also = [one for one in _named(config.also, quantized) if one.name not in names]
    return candidates + also + further


def _tried(per_word: bool) -> list[str]:
    """Name the runtimes of this machine that can answer the task; the others are said."""
    tried = []
    for runtime in TARGETS:
        if why_not(runtime) is not None:
            continue
        if reason := why_not_answering(runtime, per_word):
            logger.info("%s is not tried: %s", runtime, reason)
        else:
            tried.append(runtime)
    return tried


def _named(runtimes: Sequence[str], quantized: Path | None) -> list[Variant]:
    """List what a recipe names; INT8 that a device builds gets a float twin to fall back to."""
    variants = [Variant(name=name, runtime=name, quantized=quantized) for name in runtimes]
    twins = [
        Variant(name=f"{name}-float", runtime=name, quantized=None)
        for name in runtimes
        if quantized is not None and needs_building(name)
    ]
    return variants + twins


def _can_be_built(runtime: str, method: str, quantized: Path | None) -> bool:
    if method == "int8-dynamic" and runtime != "onnxruntime":  # others have no such layout
        return False
    return method == "float" or quantized is not None


def _build(variant: Variant, ingredients: Ingredients, scratch: Path) -> Built:
    folder = scratch / variant.name
    folder.mkdir()
    isa: Isa = "any" if variant.quantized is None else variant.isa or ingredients.isa
    return build_target(
        variant.runtime,
        variant.name,
        replace(ingredients, quantized=variant.quantized, isa=isa),
        folder,
    )


def _twins(target: Target, config: CompileConfig) -> list[Target]:
    """Add, where the best is looked for, the same file with all of the runtime's optimisers."""
    if config.target != "auto" or not target.disabled_optimizers:
        return [target]
    return [target, replace(target, name=f"{target.name}-all-fusions", disabled_optimizers=())]


def _ingredients(
    config: CompileConfig,
    exported: Path,
    description: DataDescription,
    tokenizer: Tokenizer,
    data: Path,
) -> Ingredients:
    return Ingredients(
        exported=exported,
        quantized=None,
        isa=available_isas()[0] if config.isa == "auto" else config.isa,
        float_precision=config.float_precision,
        lengths=config.lengths,
        threads=config.threads,
        max_length=description.max_length,
        length_histogram=_length_histogram(tokenizer, load_split(data, "train").texts),
    )


def _manifest(
    name: str,
    targets: tuple[Target, ...],
    description: DataDescription,
    exported: Path,
    ingredients: Ingredients,
    lineage: dict[str, str],
    measured: dict[str, float],
) -> Manifest:
    graph = onnx.load_model(exported / "model.onnx").graph
    return Manifest(
        name=name,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        task=description.kind,
        labels=description.labels,
        max_length=description.max_length,
        truncation=description.truncation,
        pairs=description.pairs,
        thresholds=read_thresholds(exported),
        inputs=tuple(node.name for node in graph.input),
        outputs=tuple(node.name for node in graph.output),
        targets=targets,
        length_histogram=ingredients.length_histogram,
        lineage=lineage,
        measured=measured,
    )


def _check_here(bundle: Path, target: str) -> None:
    result = selftest(bundle, target)
    if not result.passed:
        raise BundleError(
            f"{bundle}, target {target}, differs on this machine by "
            f"{result.max_abs_difference:.3g} from its golden logits, expected at most "
            f"{result.tolerance:.3g}; set compile.isa by hand or report this processor"
        )


def _length_histogram(tokenizer: Tokenizer, texts: list[Text]) -> tuple[int, ...]:
    lengths = [len(ids) for text in texts for ids, _ in tokenizer.windows(text)]
    counts: NDArray[np.int64] = np.bincount(lengths)
    return tuple(int(count) for count in counts)
