"""Runs in optimum's environment: golden texts through optimum's and transformers' classes.

    python optimum_reader.py BUNDLE

Prints the logits, and the version of transformers, as JSON.
"""

import json
import sys
from pathlib import Path

import optimum.onnxruntime
import transformers


def main() -> None:
    bundle = Path(sys.argv[1])
    target = json.loads((bundle / "manifest.json").read_text())["targets"][0]
    assert target["runtime"] == "onnxruntime", target
    folder = (bundle / target["path"]).parent
    model = optimum.onnxruntime.ORTModelForSequenceClassification.from_pretrained(folder)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(bundle / "tokenizer.json"))
    golden = json.loads((bundle / "golden.json").read_text())
    logits = [
        model(**tokenizer(text, return_tensors="pt")).logits[0].tolist() for text in golden["texts"]
    ]
    print(json.dumps({"logits": logits, "transformers": transformers.__version__}))


if __name__ == "__main__":
    main()
