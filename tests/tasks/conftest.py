"""Every kind of task from made-up data to its INT8 engine, on a tiny model, once for all tests."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pocketbert.compress.config import (
    TASK_KINDS,
    ColumnsConfig,
    CosineConfig,
    DataConfig,
    DecoderConfig,
    DistillConfig,
    LabelsConfig,
    ObjectivesConfig,
    PruneConfig,
    SimilaritiesConfig,
    SoftTargetsConfig,
    StudentConfig,
    TaskConfig,
    TeacherConfig,
    TrainingConfig,
    outputs_wanted,
)
from pocketbert.compress.data import prepare_data
from pocketbert.compress.distill import distill
from pocketbert.compress.distill_translator import distill_translator
from pocketbert.compress.prune import prune
from pocketbert.compress.teacher import train_teacher
from pocketbert.compress.teacher_outputs import compute_teacher_outputs
from pocketbert.deploy.compile import compile_bundle
from pocketbert.deploy.config import CompileConfig, QuantizeConfig
from pocketbert.deploy.export import export_onnx

from ..conftest import FILLER, WORDS_FOR

BAD, GOOD = WORDS_FOR[0], WORDS_FOR[1]
LEARNT = TrainingConfig(
    epochs=6, learning_rate=3e-3, batch_size=16, precision="float32", patience=20
)
OBJECTIVES = ObjectivesConfig(
    soft_targets=SoftTargetsConfig(weight=1.0), labels=LabelsConfig(weight=0.5)
)

OF_VECTORS = ObjectivesConfig(
    cosine=CosineConfig(weight=1.0), similarities=SimilaritiesConfig(weight=1.0)
)


@dataclass(frozen=True)
class Case:
    """A kind of task and rows of it.

    Attributes:
        task: Kind and labels.
        rows: Labelled examples as a JSONL file has them.
        wrong_label: What no row may have as its label; None where rows have none.
        complaint: What is said of it.
        columns: Where examples stand.
        epochs: Of the teacher, until it knows them.
        nothing: A label of which nothing is learned where all rows have it; that of the first row
            if it is left out.
        refuses_empty: An empty text is an error.
    """

    task: TaskConfig
    rows: list[dict[str, Any]]
    wrong_label: Any
    complaint: str
    columns: ColumnsConfig = field(default_factory=ColumnsConfig)
    epochs: int = 6
    nothing: Any = None
    refuses_empty: bool = False

    @property
    def generates(self) -> bool:
        return TASK_KINDS[self.task.kind].generates

    @property
    def vectors(self) -> bool:
        return TASK_KINDS[self.task.kind].vectors

    @property
    def objectives(self) -> ObjectivesConfig:
        return OF_VECTORS if self.vectors else OBJECTIVES


READ_AS_SIGNS = (BAD, GOOD, ["film", "story", "plot", "actors"])
SIGNS = ("暗悲笨坏淡死乱闷", "亮动美趣绝柔锐紧", "片事谋人")


def text_with(words: list[str], draw: random.Random) -> str:
    chosen = [*draw.choices(FILLER, k=draw.randrange(2, 9)), *words]
    draw.shuffle(chosen)
    return " ".join(chosen)


def one_of_two(draw: random.Random) -> dict[str, Any]:
    label = draw.randrange(2)
    text = text_with([draw.choice((BAD, GOOD)[label])], draw)
    return {"text": text, "label": ("bad", "good")[label]}


def second_decides(draw: random.Random) -> dict[str, Any]:
    """The same words stand in the first text, where they mean nothing."""
    row = one_of_two(draw)
    first = text_with([draw.choice(draw.choice((BAD, GOOD)))], draw)
    return {"text": first, "pair": row["text"], "label": row["label"]}


def balance(draw: random.Random) -> dict[str, Any]:
    good, bad = draw.randrange(3), draw.randrange(3)
    words = draw.choices(GOOD, k=good) + draw.choices(BAD, k=bad)
    return {"text": text_with(words, draw), "label": float(good - bad)}


def some_of_three(draw: random.Random) -> dict[str, Any]:
    words = {"good": draw.choice(GOOD[:2]), "bad": draw.choice(BAD[:2]), "actors": "actors"}
    given = [name for name in words if draw.random() < 0.4]
    filler = [word for word in draw.choices(FILLER, k=6) if word != "actors"]
    chosen = [*filler, *(words[name] for name in given)]
    draw.shuffle(chosen)
    return {"text": " ".join(chosen), "label": given}


def marked(draw: random.Random) -> dict[str, Any]:
    """A word of a kind is an entity, and so is the noun behind it."""
    text, spans = "", []
    for _ in range(draw.randrange(2, 5)):
        text += draw.choice(FILLER[2:]) + " "
        kind = draw.randrange(3)
        if kind < 2:
            entity = draw.choice((BAD, GOOD)[kind])
            if draw.random() < 0.5:
                entity += (" film", " the")[kind]
            spans.append(
                {"start": len(text), "end": len(text) + len(entity), "label": ("BAD", "GOOD")[kind]}
            )
            text += entity + " "
    return {"text": (text + "is").capitalize(), "label": spans}


def alike(draw: random.Random) -> dict[str, Any]:
    """Two texts of six words, of which some are the same; how many is the score."""
    words = draw.sample([*FILLER, *BAD, *GOOD], 12)
    same = draw.randrange(7)
    first, second = words[:6], words[6 - same : 12 - same]
    draw.shuffle(second)
    return {"text": " ".join(first), "pair": " ".join(second), "label": float(same)}


def in_other_order(draw: random.Random) -> dict[str, Any]:
    """A document has the words of its query and one more."""
    words = draw.sample([*FILLER, *BAD, *GOOD], 8)
    return {"text": " ".join(words[:7]), "pair": " ".join([*words[1:], words[0]])}


def asked(draw: random.Random) -> dict[str, Any]:
    """The answer is a good word, if there is one in the context; the question may have some too."""
    told = [draw.choice(GOOD)] if draw.random() < 0.8 else []
    context = text_with([*told, draw.choice(BAD)], draw)
    starts = [context.index(word) for word in told]
    return {
        "text": text_with(draw.choices([*GOOD, *BAD], k=1), draw),
        "pair": context,
        "label": {"text": told, "answer_start": starts},
    }


def in_signs(draw: random.Random) -> dict[str, Any]:
    """Every word of a text has a sign; its translation is these."""
    chosen = [draw.randrange(len(words)) for words in READ_AS_SIGNS]
    words = [some[number] for some, number in zip(READ_AS_SIGNS, chosen, strict=True)]
    signs = [some[number] for some, number in zip(SIGNS, chosen, strict=True)]
    return {"text": " ".join(words), "label": "".join(signs)}


def case(kind: Any, labels: tuple[str, ...], row, wrong_label: Any, complaint: str, **more) -> Case:
    draw = random.Random(kind)
    task = TaskConfig(kind=kind, labels=labels, max_length=32)
    return Case(task, [row(draw) for _ in range(420)], wrong_label, complaint, **more)


CASES = {
    "text-classification": case(
        "text-classification", ("bad", "good"), one_of_two, "god", "did you mean 'good'"
    ),
    "pairs": case(
        "text-classification",
        ("bad", "good"),
        second_decides,
        "god",
        "did you mean 'good'",
        columns=ColumnsConfig(pair="pair"),
    ),
    "text-regression": case("text-regression", (), balance, "much", "expected a number", epochs=12),
    "multi-label-classification": case(
        "multi-label-classification",
        ("bad", "good", "actors"),
        some_of_three,
        ["good", "actor"],
        "did you mean 'actors'",
        epochs=12,
    ),
    "token-classification": case(
        "token-classification",
        ("BAD", "GOOD"),
        marked,
        [{"start": 0, "end": 3, "label": "GOD"}],
        "did you mean 'GOOD'",
        nothing=[],
    ),
    "question-answering": case(
        "question-answering",
        (),
        asked,
        {"text": ["superb"], "answer_start": [1]},
        "expected the answer 'superb'",
        columns=ColumnsConfig(pair="pair"),
        epochs=8,
        nothing={"text": [], "answer_start": []},
        refuses_empty=True,
    ),
    "translation": case(
        "translation", (), in_signs, 7, "expected the text in the other language", epochs=12
    ),
    "sentence-similarity": case(
        "sentence-similarity",
        (),
        alike,
        "much",
        "expected a number",
        columns=ColumnsConfig(pair="pair"),
    ),
    "text-retrieval": case(
        "text-retrieval", (), in_other_order, None, "", columns=ColumnsConfig(pair="pair")
    ),
}


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def prepare(of: Case, rows: list[dict[str, Any]], folder: Path) -> Path:
    table = write_rows(folder / "rows.jsonl", rows)
    config = DataConfig(train=str(table), validation=0.2, test=0.2, columns=of.columns)
    prepare_data(config=config, task=of.task, out=folder)
    return folder


@dataclass(frozen=True)
class Chain:
    """Every stage's folder and what it returned."""

    case: Case
    root: Path
    summaries: dict[str, dict[str, Any]]

    @property
    def bundle(self) -> Path:
        return self.root / "compiled/bundle"

    @property
    def student(self) -> Path:
        """Folder of the distilled model; a translator is not pruned any further."""
        return self.root / ("pruned" if self.case.generates else "student")


@pytest.fixture(scope="session")
def chain_of(tiny_checkpoint, to_int8, tmp_path_factory):
    """Return the chain of a case, which is run when it is first asked for."""
    kept: dict[str, Chain] = {}

    def chain(name: str) -> Chain:
        if name not in kept:
            kept[name] = _run(CASES[name], tiny_checkpoint, to_int8, tmp_path_factory.mktemp(name))
        return kept[name]

    return chain


def _run(of: Case, checkpoint: Path, to_int8, root: Path) -> Chain:
    def folder(name: str) -> Path:
        (root / name).mkdir(exist_ok=True)
        return root / name

    data = prepare(of, of.rows, folder("data"))
    said: dict[str, dict[str, Any]] = {}
    training = None if of.vectors else replace(LEARNT, epochs=of.epochs)
    decoder = DecoderConfig(layers=2, vocabulary=24) if of.generates else None
    said["teacher"] = train_teacher(
        config=TeacherConfig(model=str(checkpoint), training=training, decoder=decoder),
        seed=0,
        data=data,
        out=folder("teacher"),
    )
    if of.generates:
        said["distill"] = distill_translator(
            config=DistillConfig(
                student=StudentConfig(layers=3, decoder_layers=1),
                objectives=of.objectives,
                training=replace(LEARNT, epochs=4),
            ),
            seed=0,
            data=data,
            teacher=folder("teacher"),
            out=folder("pruned"),
        )
    else:
        _make_smaller(of, data, folder, said)
    exported, quantized = folder("exported"), folder("quantized")
    said["export"] = export_onnx(out=exported, data=data, model=folder("pruned"))
    said["quantize"] = to_int8(
        out=quantized,
        config=QuantizeConfig(calibration_examples=32),
        data=data,
        exported=exported,
    )
    said["compile"] = compile_bundle(
        out=folder("compiled"),
        config=CompileConfig(),
        data=data,
        exported=exported,
        quantized=quantized,
        lineage={},
        name="tiny",
    )
    return Chain(of, root, said)


def _make_smaller(
    of: Case, data: Path, folder: Callable[[str], Path], said: dict[str, dict[str, Any]]
) -> None:
    said["outputs"] = compute_teacher_outputs(
        data=data,
        examples=data,
        teacher=folder("teacher"),
        wanted=outputs_wanted([of.objectives], student_layers=2),
        out=folder("outputs"),
    )
    learning: dict[str, Any] = {
        "seed": 0,
        "data": data,
        "examples": data,
        "teacher_outputs": folder("outputs"),
    }
    said["distill"] = distill(
        config=DistillConfig(
            student=StudentConfig(layers=3),
            objectives=of.objectives,
            training=replace(LEARNT, epochs=4),
        ),
        teacher=folder("teacher"),
        out=folder("student"),
        **learning,
    )
    said["prune"] = prune(
        config=PruneConfig(
            layers=1,
            heads=0.25,
            neurons=0.25,
            hidden=0.25,
            hidden_multiple=8,
            neuron_multiple=16,
            objectives=of.objectives,
            training=replace(LEARNT, epochs=2),
        ),
        student=folder("student"),
        out=folder("pruned"),
        **learning,
    )
