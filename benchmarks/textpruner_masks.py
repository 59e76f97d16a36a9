"""Which heads and neurons TextPruner keeps; run by prune.py in an environment of its own.

TextPruner is of 2023 and runs with the transformers of its time. Its numpy is pinned to one that
has no wheels, so that it is installed without its dependencies:

    python -m venv peer
    peer/bin/pip install torch==2.13.0 transformers==4.48.3 sentencepiece protobuf
    peer/bin/pip install --no-deps textpruner==1.1.post2
    python benchmarks/prune.py ... --textpruner peer/bin/python

Uses the settings of its own README: importance from gradients, layers of different widths,
several iterations. Reads one JSON object from stdin, writes the masks to the file it names.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from textpruner import GeneralConfig, TransformerPruner, TransformerPruningConfig
from torch import Tensor
from transformers import AutoModelForSequenceClassification, AutoTokenizer

BATCH_SIZE = 32


def main() -> None:
    asked = json.load(sys.stdin)
    folder = Path(asked["model"])
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    torch.set_num_threads(1)
    pruner = TransformerPruner(
        model,
        transformer_pruning_config=TransformerPruningConfig(
            target_ffn_size=asked["neurons"],
            target_num_of_heads=asked["heads"],
            pruning_method="iterative",
            ffn_even_masking=False,
            head_even_masking=False,
            n_iters=asked["steps"],
            multiple_of=asked["neuron_multiple"],
        ),
        general_config=GeneralConfig(use_device="cpu", output_dir=asked["scratch"]),
    )
    pruner.prune(dataloader=batches(asked, tokenizer), adaptor=loss_of, save_model=False)
    masks = {"heads": pruner.head_mask.tolist(), "neurons": pruner.ffn_mask.tolist()}
    Path(asked["masks"]).write_text(json.dumps(masks))


def batches(asked: dict[str, Any], tokenizer: Any) -> list[dict[str, Tensor]]:
    """The same texts as in the pruning that it is compared with."""
    rows = [json.loads(line) for line in Path(asked["texts"]).read_text().splitlines()]
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    chosen = [rows[row] for row in order[: asked["examples"]].tolist()]
    found = []
    for start in range(0, len(chosen), BATCH_SIZE):
        part = chosen[start : start + BATCH_SIZE]
        encoded = tokenizer(
            [row["text"] for row in part], padding=True, truncation=True, return_tensors="pt"
        )
        found.append(dict(encoded) | {"labels": torch.tensor([row["label"] for row in part])})
    return found


def loss_of(outputs: Any) -> Tensor:
    loss: Tensor = outputs.loss
    return loss


if __name__ == "__main__":
    main()
