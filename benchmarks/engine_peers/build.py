"""Make a peer's files: `python -m engine_peers.build` in the peer's environment.

Reads `{"module", "source", "out"}` from stdin. `source` is what all peers start from: `weights`, a
folder that transformers loads, or null for a pruned model; `onnx`, the exported FP32 graph;
`calibration`, training texts as token ids.
"""

import json
import sys
from importlib import import_module
from pathlib import Path


def main() -> None:
    asked = json.load(sys.stdin)
    out = Path(asked["out"])
    out.mkdir(parents=True, exist_ok=True)
    import_module(f"engine_peers.{asked['module']}").build(asked["source"], out)


if __name__ == "__main__":
    main()
