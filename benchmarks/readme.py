"""Write the figures of benchmarks/results/recipe_*.json into the README, so that none is typed.

python benchmarks/readme.py
"""

import json
from pathlib import Path
from typing import Any

from report import RESULTS

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"
TITLES = {
    "teacher-pytorch": "Teacher, PyTorch FP32",
    "teacher-onnx": "Teacher, ONNX Runtime FP32",
    "student-onnx": "Student, FP32",
    "pruned-onnx": "Student, pruned, FP32",
    "trimmed-onnx": "Student, pruned and trimmed, FP32",
    "engine": "**Engine, INT8**",
}
SHOWN = {
    "quickstart": "a 6-layer MiniLM teacher, a pruned 3-layer student",
    "sentiment_base": "a 12-layer, 768-wide MPNet teacher, a pruned 6-layer student",
}


def main() -> None:
    text = README.read_text()
    before, after = text[: text.index(BEGIN)], text[text.rindex(END) + len(END) :]
    sections = [section(name, about) for name, about in SHOWN.items()]
    README.write_text(f"{before}{BEGIN}{''.join(sections)}{END}{after}")


def section(name: str, about: str) -> str:
    results = json.loads((RESULTS / f"recipe_{name}.json").read_text())
    run, where = results["runs"][0], results["environment"]
    low, high = run["retention_interval"]
    missed = [
        f"{bar['name']} is {bar['value']:.3g} (target {bar['target']})"
        for bar in results["bars"]
        if not bar["holds"]
    ]
    return f"""\
**`pocketbert run {name}`**: {about}. Measured {where["measured_at"][:10]} on {where["cpus"]}
cores of {where["cpu"]} ({", ".join(where["instruction_sets"])}; shared and noisy), 1 thread,
batch 1, text in to label out. The engine keeps **{run["retention"]:.1%}** of the teacher's accuracy
(95 % interval {low:.1%} to {high:.1%}{seeds(results)}), answers
**{run["p50_ratio_pytorch"]:.1f} times** as fast as the teacher in PyTorch and
**{run["p50_ratio_onnxruntime"]:.1f} times** as fast as in ONNX Runtime, both FP32, and is
**{run["size_ratio"]:.1f} times** smaller. INT8 gives the unquantized student's label on
{run["int8_agreement"]:.1%} of the test texts. {cost(run)}
{"All bars hold" if not missed else "Missed: " + "; ".join(missed)}.

{table(run["artifacts"])}

"""


def cost(run: dict[str, Any]) -> str:
    if "command_s" not in run:
        return (
            f"Its stages took {run['wall_s'] / 60:.0f} minutes in all, with everything downloaded."
        )
    return (
        f"The run took {run['command_s'] / 60:.0f} minutes with everything downloaded, and "
        f"{run['peak_bytes'] / 1e9:.1f} GB of memory at its peak."
    )


def seeds(results: dict[str, Any]) -> str:
    if len(results["runs"]) == 1:
        return ""
    spread = results["retention"]
    return f"; {spread['lowest']:.1%} to {spread['highest']:.1%} over {len(results['runs'])} seeds"


def table(artifacts: dict[str, Any]) -> str:
    lines = [
        "| artifact | accuracy (95 % interval) | p50 | p99 | weights | peak memory |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in artifacts.items():
        accuracy = one["accuracy"]
        lines.append(
            f"| {TITLES[name]} | {accuracy['value']:.1%} ({accuracy['low']:.1%} to "
            f"{accuracy['high']:.1%}) | {one['p50_ms']:.3g} ms | {one['p99_ms']:.3g} ms | "
            f"{one['weights_bytes'] / 1e6:.1f} MB | {one['peak_bytes'] / 1e6:.0f} MB |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
