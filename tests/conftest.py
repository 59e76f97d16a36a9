"""Small real parts that several tests share."""

import json
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

WORDS_FOR = {
    0: ["dull", "tedious", "clumsy", "awful", "bland", "lifeless", "messy", "boring"],
    1: ["bright", "moving", "lovely", "funny", "superb", "tender", "sharp", "gripping"],
}
FILLER = ["the", "film", "a", "story", "is", "and", "of", "with", "plot", "actors", "very", "this"]


THREADS = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))


@pytest.fixture(autouse=True)
def _threads_are_given_back() -> Iterator[None]:
    """An engine that runs in PyTorch sets its threads for the whole process."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(THREADS)


def made_up_reviews(count: int, seed: int) -> list[dict[str, object]]:
    """Short texts whose label is carried by one word, in random order."""
    draw = random.Random(seed)
    rows: list[dict[str, object]] = []
    for _ in range(count):
        label = draw.randrange(2)
        words = [*draw.choices(FILLER, k=draw.randrange(2, 14)), draw.choice(WORDS_FOR[label])]
        draw.shuffle(words)
        rows.append({"text": " ".join(words), "label": label})
    return rows


@pytest.fixture(scope="session")
def vocabulary() -> list[str]:
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = [*FILLER, *WORDS_FOR[0], *WORDS_FOR[1]]
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return list(dict.fromkeys([*specials, *letters, *("##" + x for x in letters), *words]))


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory, vocabulary: list[str]) -> Path:
    """A random 4-layer BERT encoder with its tokenizer, as a hub checkpoint would lie on disk."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("tiny-bert")
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def to_int8(tmp_path_factory: pytest.TempPathFactory):
    """Calibrate and quantize as the pipeline would; return the summary of the latter."""
    from pocketbert.deploy.calibrate import calibrate
    from pocketbert.deploy.quantize import quantize

    def stages(*, out: Path, config, data: Path, exported: Path):
        calibrated = tmp_path_factory.mktemp("calibrated")
        examples, table = config.calibration_examples, config.calibration_table
        calibrate(out=calibrated, examples=examples, table=table, data=data, exported=exported)
        return quantize(out=out, config=config, calibrated=calibrated, exported=exported)

    return stages


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the data stage would write, with made-up reviews."""
    from pocketbert.compress.config import DataConfig, TaskConfig
    from pocketbert.compress.data import prepare_data

    folder = tmp_path_factory.mktemp("data")
    source = folder / "reviews.jsonl"
    source.write_text("\n".join(json.dumps(row) for row in made_up_reviews(600, seed=0)))
    prepare_data(
        config=DataConfig(train=str(source), validation=0.15, test=0.2),
        task=TaskConfig(kind="text-classification", labels=("bad", "good"), max_length=32),
        out=folder,
    )
    return folder


@pytest.fixture(scope="session")
def cpp_onnxruntime(pytestconfig: pytest.Config) -> Path:
    """ONNX Runtime for the C++ runtime; kept between runs, for it is a download."""
    from .deploy import cpp_build

    reason = cpp_build.why_not()
    if reason:
        pytest.skip(reason)
    folder = Path(pytestconfig.cache.mkdir("cpp")) / "onnxruntime"
    try:
        return cpp_build.get_onnxruntime(folder)
    except cpp_build.BuildError as error:
        pytest.skip(f"ONNX Runtime's library and headers could not be downloaded: {error}")


@pytest.fixture(scope="session")
def cpp(pytestconfig: pytest.Config, cpp_onnxruntime: Path) -> Path:
    """Folder of the C++ runtime's programs, with those for tests in `tests/`."""
    from .deploy import cpp_build

    folder = Path(pytestconfig.cache.mkdir("cpp")) / "build"
    return cpp_build.build(
        folder,
        OnnxRuntime_ROOT=str(cpp_onnxruntime),
        POCKETBERT_TESTS=True,
        POCKETBERT_TENSORRT=False,
    )


@pytest.fixture(scope="session")
def cpp_sanitized(pytestconfig: pytest.Config, cpp_onnxruntime: Path) -> Path:
    """The same programs under AddressSanitizer and UndefinedBehaviorSanitizer."""
    from .deploy import cpp_build

    return cpp_build.build(
        Path(pytestconfig.cache.mkdir("cpp")) / "sanitized",
        OnnxRuntime_ROOT=str(cpp_onnxruntime),
        POCKETBERT_TESTS=True,
        POCKETBERT_TENSORRT=False,
        POCKETBERT_SANITIZE=True,
    )
