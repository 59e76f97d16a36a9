"""What one calibration costs: time and memory, and what each way to choose ranges adds to it.

    python benchmarks/calibration.py

A BERT of 12 layers, 768 wide, with random weights, as the export stage writes it; made-up texts of
up to 128 tokens. A fresh process calibrates, so that its peak of resident memory is the
calibration's own; the peak of a process that only opens the model is measured beside it.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from report import environment, write_results

EXAMPLES = 512
MAX_LENGTH = 128
SHAPE: dict[str, int] = {}  # transformers' BertConfig is BERT-base
LIMIT_BYTES = 2**30
WORDS = [f"w{number}" for number in range(2000)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=EXAMPLES)
    parser.add_argument("--part", nargs=2, metavar=("PART", "FOLDER"), help="run by this script")
    options = parser.parse_args()
    if options.part:
        part, folder = options.part
        print(json.dumps(PARTS[part](Path(folder), options.examples)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        in_a_process("make", folder, options.examples)
        model_bytes = (folder / "model.onnx").stat().st_size
        opened = in_a_process("open", folder, options.examples)
        calibrated = in_a_process("calibrate", folder, options.examples)
        methods = in_a_process("methods", folder, options.examples)
    above_bytes = calibrated["peak_bytes"] - calibrated["before_bytes"] - model_bytes
    print(f"calibrate {calibrated['seconds']:.1f} s, {above_bytes / 2**20:.0f} MiB above the model")
    for name, seconds in methods["seconds"].items():
        print(f"  {name:<12}{seconds:8.2f} s to choose all ranges")
    write_results(
        "calibration",
        environment=environment(),
        model_bytes=model_bytes,
        examples=options.examples,
        opened=opened,
        calibrated=calibrated,
        peak_above_model_bytes=above_bytes,
        ranges=methods,
        bars=[
            {
                "name": "peak memory of the calibration above the model, bytes",
                "value": above_bytes,
                "target": LIMIT_BYTES,
                "holds": above_bytes < LIMIT_BYTES,
            }
        ],
    )


def in_a_process(part: str, folder: Path, examples: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--examples", str(examples), "--part", part, str(folder)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    result: dict[str, Any] = json.loads(answer.splitlines()[-1])
    return result


def make(folder: Path, examples: int) -> dict[str, Any]:
    """Write what the data and the export stage would leave, all in one folder."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    from pocketbert.compress.config import DataConfig, TaskConfig
    from pocketbert.compress.data import prepare_data
    from pocketbert.compress.folder import ModelDescription, save_model
    from pocketbert.deploy.export import export_onnx

    draw = random.Random(0)
    rows = [
        {"text": " ".join(draw.choices(WORDS, k=draw.randint(5, MAX_LENGTH))), "label": number % 2}
        for number in range(100 + examples * 3 // 2)
    ]
    source = folder / "texts.jsonl"
    source.write_text("\n".join(json.dumps(row) for row in rows))
    prepare_data(
        config=DataConfig(train=str(source), validation=0.1, test=0.1),
        task=TaskConfig(kind="text-classification", labels=("a", "b"), max_length=MAX_LENGTH),
        out=folder,
    )
    vocabulary = {word: n for n, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]")
    torch.manual_seed(0)
    model = BertForSequenceClassification(BertConfig(**SHAPE))
    save_model(model, wrapped, ModelDescription(("a", "b"), MAX_LENGTH), folder / "model")
    return export_onnx(out=folder, data=folder, model=folder)


def open_only(folder: Path, examples: int) -> dict[str, Any]:
    from pocketbert.deploy.runners.ort import OrtRunner

    before_bytes = resident_bytes()
    OrtRunner(folder / "model.onnx")
    return {"before_bytes": before_bytes, "peak_bytes": peak_bytes()}


def calibrate(folder: Path, examples: int) -> dict[str, Any]:
    from pocketbert.deploy import calibrate as stage

    before_bytes, started_s = resident_bytes(), time.perf_counter()
    summary = stage.calibrate(out=folder, examples=examples, data=folder, exported=folder)
    return {
        "seconds": time.perf_counter() - started_s,
        "before_bytes": before_bytes,
        "peak_bytes": peak_bytes(),
        **summary,
    }


def methods(folder: Path, examples: int) -> dict[str, Any]:
    from pocketbert.deploy.activation_ranges import METHODS, activation_range
    from pocketbert.deploy.calibration_table import CALIBRATION, read_table

    table = read_table(folder / CALIBRATION, folder / "model.onnx")
    seconds = {}
    for method in METHODS:
        started_s = time.perf_counter()
        for seen in table.tensors.values():
            activation_range(seen, method, symmetric=False)
        seconds[method] = time.perf_counter() - started_s
    return {"tensors": len(table.tensors), "seconds": seconds, "peak_bytes": peak_bytes()}


def resident_bytes() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


def peak_bytes() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


PARTS = {"make": make, "open": open_only, "calibrate": calibrate, "methods": methods}

if __name__ == "__main__":
    main()
