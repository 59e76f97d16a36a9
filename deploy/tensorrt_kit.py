"""What a device gets beside the model: the shapes to build for, and a script that builds."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pocketbert.compress.errors import BundleError

from .tensorrt_build import MEMORY_DIVISOR, VERSIONS, WORKSPACE_MIB
from .tensorrt_profiles import Profile

KIT = "kit.json"
DLA_REFUSED = (
    "DLA is asked for, expected the GPU: DLA multiplies no two activations, which attention "
    "consists of, and takes no inputs of changing length"
)

# trtexec of 10.3, 10.7, 10.13, 10.16, 11.0 and 11.1 takes every flag (tests/deploy/trtexec.json).
BUILD_SCRIPT = """\
#!/bin/sh
# Builds {name} with trtexec on the device that runs it: an engine belongs to its GPU and its
# version of TensorRT. For devices without Python; with Python: pocketbert build BUNDLE.
#
#   sh build.sh FOLDER        writes FOLDER/model.plan and what it consists of, layers.json
#
# FOLDER must lie outside the bundle, whose files are all hashed. TRTEXEC names another trtexec,
# WORKSPACE_MIB another limit of a kernel's memory, which CPU and GPU share on a Jetson.
set -eu
case "$*" in
*--useDLACore*)
    echo "{dla_refused}" >&2
    exit 2
    ;;
esac
if [ $# -ne 1 ]; then
    echo "no folder is given, expected: sh build.sh FOLDER" >&2
    exit 2
fi
MODEL="$(cd "$(dirname "$0")" && pwd)/model.onnx"
TRTEXEC="${{TRTEXEC:-/usr/src/tensorrt/bin/trtexec}}"
if ! command -v "$TRTEXEC" > /dev/null; then
    echo "$TRTEXEC is not there, expected TensorRT's trtexec; set TRTEXEC" >&2
    exit 2
fi
WHOLE_KIB="$(sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo)"
SHARE_MIB=$((WHOLE_KIB / 1024 / {memory_divisor}))
if [ "$SHARE_MIB" -gt {workspace_mib} ]; then SHARE_MIB={workspace_mib}; fi
mkdir -p "$1"
trap 'rm -f "$1/unfinished.plan"' EXIT
"$TRTEXEC" \\
    --onnx="$MODEL" \\
    --stronglyTyped \\
{profiles}
    --memPoolSize=workspace:"${{WORKSPACE_MIB:-$SHARE_MIB}}" \\
    --timingCacheFile="$1/timing.cache" \\
    --profilingVerbosity=detailed \\
    --exportLayerInfo="$1/layers.json" \\
    --skipInference \\
    --saveEngine="$1/unfinished.plan"
mv "$1/unfinished.plan" "$1/model.plan"
echo "$1/model.plan"
"""


def write_kit(
    folder: Path, name: str, inputs: Sequence[str], profiles: Sequence[Profile], opset: int
) -> None:
    """Write `build.sh` and `kit.json`.

    Args:
        folder: Where to.
        name: What the target is called.
        inputs: Inputs of the model, each int64 (batch, seq).
        profiles: Shapes to build for.
        opset: Of the model.
    """
    flags = "\n".join(_flags(number, profile, inputs) for number, profile in enumerate(profiles))
    script = BUILD_SCRIPT.format(
        name=name,
        profiles=flags,
        workspace_mib=WORKSPACE_MIB,
        memory_divisor=MEMORY_DIVISOR,
        dla_refused=f"{DLA_REFUSED}; leave out --useDLACore",
    )
    (folder / "build.sh").write_text(script)
    first, beyond = VERSIONS["tensorrt"]
    about = {
        "profiles": [asdict(profile) for profile in profiles],
        "inputs": list(inputs),
        "input_type": "int64",
        "opset": opset,
        "workspace_mib": WORKSPACE_MIB,
        "tensorrt_from": list(first),
        "tensorrt_below": list(beyond),
    }
    (folder / KIT).write_text(json.dumps(about, indent=2) + "\n")


def read_profiles(path: Path) -> tuple[Profile, ...]:
    """Read the shapes that an engine is built for.

    Raises:
        BundleError: The file is not a kit.
    """
    try:
        raw = json.loads(path.read_text())["profiles"]
        return TypeAdapter(tuple[Profile, ...]).validate_json(json.dumps(raw))
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise BundleError(
            f"{path} names no profiles ({error}), expected the kit of a TensorRT target; copy the "
            "bundle again"
        ) from error


def _flags(number: int, profile: Profile, inputs: Sequence[str]) -> str:
    lines = [f"    --profile={number} \\"]
    for flag in ("min", "opt", "max"):
        batch, tokens = getattr(profile, flag)
        shapes = ",".join(f"{name}:{batch}x{tokens}" for name in inputs)
        lines.append(f"    --{flag}Shapes={shapes} \\")
    return "\n".join(lines)
