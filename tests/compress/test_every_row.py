"""Every way to make a model smaller, from the trained model to the INT8 engine, on one tiny model.

Rows are sections of a recipe. That none is missing follows from the recipe's own configs: each key
of each section is set by some row to something else than its default, and each choice is taken.
"""

import dataclasses
import inspect
import json
from importlib import import_module
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from pocketbert.compress.batches import Collate, tokenize
from pocketbert.compress.config import ObjectivesConfig, PackageSource, StudentConfig
from pocketbert.compress.data import load_split
from pocketbert.compress.folder import load_model, load_tokenizer
from pocketbert.compress.latency_table import LatencyCurve, LatencyTable, save_latency_table
from pocketbert.compress.learner import StudentWithObjectives
from pocketbert.compress.objectives import OBJECTIVES
from pocketbert.compress.student import build_student
from pocketbert.compress.teacher_outputs import load_teacher_outputs
from pocketbert.deploy.compile import compile_bundle
from pocketbert.deploy.config import CompileConfig
from pocketbert.deploy.engine import Engine
from pocketbert.deploy.export import export_onnx
from pocketbert.deploy.runners.ort import OrtRunner
from pocketbert.deploy.tokenizer import Tokenizer
from pocketbert.recipes.expectations import members
from pocketbert.recipes.pipeline import STAGES
from pocketbert.recipes.schema import Recipe

LEARNING: dict[str, dict[str, Any]] = {
    "objectives": {"logits": {"weight": 1.0}},
    "training": {
        "epochs": 2,
        "batch_size": 16,
        "learning_rate": 3e-3,
        "evaluations_per_epoch": 1,
        "precision": "float32",
    },
}
# What starts from new weights takes longer to tell the labels apart.
LONGER = LEARNING | {"training": LEARNING["training"] | {"epochs": 6, "learning_rate": 5e-3}}
CUT = {"neuron_multiple": 16, "hidden_multiple": 8}
TABLE = LatencyTable(
    hidden_size=32,
    head_size=8,
    tokens=16,
    threads=1,
    precision="float32",
    machine="none",
    attention=LatencyCurve((0, 4), (0.1, 3.0)),
    feed_forward=LatencyCurve((0, 64), (0.1, 4.0)),
    last_attention=LatencyCurve((0, 4), (0.1, 1.5)),
    last_feed_forward=LatencyCurve((0, 64), (0.1, 0.5)),
)


def distilled(learning: dict[str, Any] = LEARNING, **student: Any) -> dict[str, Any]:
    return {"distill": {"student": student} | learning}


# Without `distill` a trained 2-layer student is where a row starts. Capitals are paths.
ROWS: dict[str, dict[str, Any]] = {
    "teacher's layers": distilled(layers=2),
    "chosen layers": distilled(layers=[0, 3]),
    "new weights": distilled(LONGER, layers=2, init="fresh"),
    "another checkpoint": distilled(LONGER, layers=2, init="CHECKPOINT"),
    "narrow student": distilled(layers=2, hidden_size=16),
    "student with few neurons": distilled(layers=2, intermediate_size=32),
    "word factors": distilled(layers=2, embedding_rank=16),
    "bilstm": distilled(bilstm={"embedding_size": 16, "hidden_size": 16, "dropout": 0.1}),
    "fewer layers": {"prune": {"layers": 1}},
    "fewer heads": {"prune": {"heads": 0.5} | CUT},
    "fewer neurons": {"prune": {"neurons": 0.5} | CUT},
    "narrower stream": {"prune": {"hidden": 0.25} | CUT},
    "by latency": {"prune": {"speedup": 3.0, "latency_table": "TABLE"} | CUT},
    "all at once and recovered": {
        "prune": {"layers": 1, "heads": 0.25, "neurons": 0.25, "hidden": 0.25} | CUT | LEARNING
    },
    "what gates leave open": {
        "prune": {"heads": 0.25, "neurons": 0.25}
        | CUT
        | {"scores": {"method": "l0", "gate_learning_rate": 0.1} | LEARNING}
    },
    "what moves away from zero": {
        "prune": {"heads": 0.25, "neurons": 0.25}
        | CUT
        | {"scores": {"method": "movement", "reached": 0.6} | LEARNING}
    },
    "in steps and fitted": {
        "prune": {
            "heads": 0.5,
            "neurons": 0.5,
            "hidden": 0.25,
            "steps": 2,
            "importance_examples": 64,
            "reconstruction": "least_squares",
        }
        | CUT
    },
    "small weights are zero": {"sparsify": {"pattern": "unstructured", "sparsity": 0.5}},
    "moving weights stay": {
        "sparsify": {
            "pattern": "unstructured",
            "sparsity": 0.5,
            "scores": "movement",
            "reached": 0.6,
            "update_every": 2,
        }
        | LEARNING
    },
    "two of four": {"sparsify": {"pattern": "2:4"}},
    "learned in 7 bits": {"qat": {"weight_bits": 7, "calibration_examples": 16} | LEARNING},
    "learned in 7 bits where INT8 does harm": {"qat": {"only_below": 0.99} | LEARNING},
    "learned in 8 bits": {"qat": {"weight_bits": 8, "calibration_examples": 16} | LEARNING},
    "fewer tokens": {"trim": {"min_count": 2, "texts": [{"source": "TEXTS", "format": "text"}]}},
    "ranges without outliers": {"quantize": {"calibration": "percentile"}},
    "ranges of least divergence": {"quantize": {"calibration": "entropy"}},
    "ranges of least error": {"quantize": {"calibration": "mse"}},
    "attention in INT8": {"quantize": {"attention": True}},
    "residuals in INT8": {"quantize": {"residuals": True}},
    "float tables": {"quantize": {"embeddings": False}},
    "everything that goes together": distilled(layers=2, embedding_rank=16)
    | {
        "prune": {"heads": 0.25, "hidden": 0.25, "reconstruction": "least_squares"} | CUT,
        "sparsify": {"pattern": "2:4"},
        "trim": {},
    },
}

# These change no model, and what `general` leaves is a checkpoint (test_general.py).
ELSEWHERE = {"transfer", "general", "compile", "evaluate"}
SHARED = {"objectives", "training"}
# test_masked_tokens.py and tests/tasks/test_vectors.py
OTHER_ANSWERS = ("masked_tokens", "cosine", "similarities")
ON_A_TASK = [name for name in OBJECTIVES if name not in OTHER_ANSWERS]
# Share of the test texts that INT8 labels as FP32 does; all rows had 1.0 of 120 texts.
AGREEMENT = 0.97

IDS = torch.tensor([[2, 40, 41, 42, 3], [2, 33, 3, 0, 0]])


def logits(model: Any) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=IDS, attention_mask=(IDS != 0).long()).logits
    return found


def logits_when_saved(stage: Any, monkeypatch: Any) -> list[torch.Tensor]:
    """Return the list that will have them; the model is saved as ever."""
    found: list[torch.Tensor] = []
    save = stage.save_model

    def save_and_keep(model: Any, *rest: Any) -> None:
        found.append(logits(model))
        save(model, *rest)

    monkeypatch.setattr(stage, "save_model", save_and_keep)
    return found


def config_of(section: str, values: dict[str, Any], paths: dict[str, str]) -> Any:
    """Build a section's config as a recipe would."""
    kind = members(get_type_hints(Recipe)[section])[0]
    text = json.dumps(values)
    for name, path in paths.items():
        text = text.replace(json.dumps(name), json.dumps(path))
    return TypeAdapter(kind).validate_json(text, strict=True)


@pytest.fixture(scope="module")
def given(teacher, student, outputs, tiny_data, tiny_checkpoint, tmp_path_factory):
    """What stages read, by the names of their parameters, and the paths that rows name."""
    root = tmp_path_factory.mktemp("given")
    save_latency_table(TABLE, root / "table.json")
    (root / "more.txt").write_text("a lovely plot\n")
    paths = {
        "CHECKPOINT": tiny_checkpoint,
        "TABLE": root / "table.json",
        "TEXTS": root / "more.txt",
    }
    (root / "int8_check.json").write_text('{"int8_kept": 0.9}')
    stages = {"seed": 0, "data": tiny_data, "examples": tiny_data, "teacher": teacher[0]}
    stages |= {"student": student[0], "teacher_outputs": outputs, "int8_check": root}
    return stages, {name: str(path) for name, path in paths.items()}


@pytest.mark.parametrize("row", ROWS)
def test_reloads_exports_and_answers_in_int8(row, given, to_int8, tmp_path, monkeypatch):
    stages, paths = given
    folder = stages["student"]
    for section, values in ROWS[row].items():
        if section == "quantize":
            continue
        module_name, _, function = STAGES[section].function.partition(":")
        module = import_module(module_name)
        saved = logits_when_saved(module, monkeypatch)
        out = tmp_path / section
        out.mkdir()
        possible = stages | {"student": folder, "out": out}
        possible["config"] = config_of(section, values, paths)
        stage = getattr(module, function)
        stage(**{n: v for n, v in possible.items() if n in inspect.signature(stage).parameters})
        folder = out
        found = logits(load_model(folder / "model"))
        torch.testing.assert_close(found, saved[0], atol=1e-5, rtol=0)
    deployed = {name: tmp_path / name for name in ("onnx", "int8", "bundle")}
    for path in deployed.values():
        path.mkdir()
    data, onnx = stages["data"], deployed["onnx"]
    export_onnx(out=onnx, data=data, model=folder)
    to_int8(
        out=deployed["int8"],
        config=config_of(
            "quantize", {"calibration_examples": 16} | ROWS[row].get("quantize", {}), {}
        ),
        data=data,
        exported=onnx,
    )
    compile_bundle(
        out=deployed["bundle"],
        config=CompileConfig(),
        data=data,
        exported=onnx,
        quantized=deployed["int8"],
        lineage={},
        name="row",
    )
    texts = load_split(data, "test").texts
    batch = load_tokenizer(folder / "model")(texts, padding=True, return_tensors="pt")
    batch.pop("token_type_ids", None)
    with torch.no_grad():
        wanted = load_model(folder / "model").eval()(**batch).logits.numpy()
    tokenizer = Tokenizer(onnx / "tokenizer.json", 32)
    floats = OrtRunner(onnx / "model.onnx").run(tokenizer.encode(texts))
    np.testing.assert_allclose(floats, wanted, atol=1e-4, rtol=0)
    answers = Engine.open(deployed["bundle"] / "bundle").logits(texts)
    assert np.abs(answers - floats).max() > 0  # it is another model
    assert len(set(floats.argmax(1).tolist())) == 2  # else to agree would be no feat
    assert np.mean(answers.argmax(1) == floats.argmax(1)) >= AGREEMENT


def keys_of(kind: Any) -> dict[str, Any]:
    """Each key of a section with its field; sections inside count with their own keys."""
    hints = get_type_hints(kind)
    found: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        inside: list[Any] = [k for k in members(hints[field.name]) if dataclasses.is_dataclass(k)]
        if field.name in SHARED or not inside or PackageSource in inside:
            found[field.name] = (field, members(hints[field.name])[0])
        else:
            found |= {f"{field.name}.{n}": f for n, f in keys_of(inside[0]).items()}
    return found


def values_of(section: str, key: str) -> list[Any]:
    """What the rows set a key to."""
    found = []
    for row in ROWS.values():
        value: Any = row.get(section, {})
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        found += [] if value is None else [value]
    return found


# Every row sets the first; the next changes no model; the rest is in test_quantize_methods.py and
# test_int8_guard.py.
QUANTIZED_ELSEWHERE = (
    "calibration_examples",
    "calibration_table",
    "method",
    "alpha",
    "weight_bits",
    "block_size",
    "guard.max_drop",
    "guard.min_agreement",
    "guard.texts",
)


OF_TRANSLATION = ["distill.student.decoder_layers", "distill.teacher_beams"]  # tests/tasks


def test_no_key_of_a_recipe_is_without_a_row():
    sections = {
        name: members(hint)[0]
        for name, hint in get_type_hints(Recipe).items()
        if type(None) in get_args(hint) and name not in ELSEWHERE
    }
    assert set(sections) == {section for row in ROWS.values() for section in row}
    untried = []
    for section, kind in sections.items():
        for key, (field, hint) in keys_of(kind).items():
            if section == "quantize" and key in QUANTIZED_ELSEWHERE:
                continue
            values = values_of(section, key)
            if get_origin(hint) is Literal:
                default = [] if field.default is dataclasses.MISSING else [field.default]
                untried += [
                    f"{section}.{key}={v}" for v in set(get_args(hint)) - {*values, *default}
                ]
            elif all(value == field.default for value in values):
                untried.append(f"{section}.{key}")
    assert untried == OF_TRANSLATION


def test_every_objective_is_in_the_recipe_that_has_everything(everything):
    assert set(everything.chosen) == set(ON_A_TASK)


@pytest.mark.parametrize("name", ON_A_TASK)
def test_every_objective_is_learned(name, everything, given):
    """The loss of one batch falls within a few steps, from the first on."""
    stages, _ = given
    torch.manual_seed(0)
    config = StudentConfig(init="fresh", layers=2)
    student, _ = build_student(config, stages["teacher"] / "model", ("bad", "good"))
    objective = dataclasses.replace(everything.chosen[name], weight=1.0)
    outputs = load_teacher_outputs(stages["teacher_outputs"])
    model = StudentWithObjectives(student, ObjectivesConfig(**{name: objective}), outputs)
    tokenizer = load_tokenizer(stages["teacher"] / "model")
    train = tokenize(load_split(stages["examples"], "train"), tokenizer, 32)
    train.extras = {"teacher_logits": torch.from_numpy(outputs.logits.copy())} | {
        f"teacher_{state}": outputs.states[state] for state in model.teacher_states
    }
    batch = Collate(tokenizer.pad_token_id)([train[row] for row in range(16)])
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0  # what falls is to be the objective, not luck
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(12):
        loss = model.train()(**batch)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[1] < losses[0]
    assert losses[-1] < 0.97 * losses[0]
