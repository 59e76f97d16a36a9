"""What the command line prints: results on stdout, everything else on stderr."""

import json
import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pocketbert.compress.errors import UserError

if TYPE_CHECKING:
    from pocketbert.compress.latency_table import LatencyTable
    from pocketbert.deploy.build import BuildResult
    from pocketbert.deploy.selftest import SelftestResult
    from pocketbert.eval.bench import BenchResult
    from pocketbert.eval.decide_gates import GateResult
    from pocketbert.eval.intervals import Interval

    from .compare import RunComparison
    from .doctor import Diagnosis
    from .estimate import Size
    from .run import Run
    from .states_size import StatesSize

PIPE_WIDTH = 160


def write(text: str) -> None:
    """Print to stdout."""
    typer.echo(text)


def write_json(value: Any, indent: int | None = 2) -> None:
    """Print JSON to stdout, at once, so that the next program in a pipe sees it."""
    typer.echo(json.dumps(value, indent=indent, ensure_ascii=False))
    sys.stdout.flush()


def complain(text: str) -> None:
    """Print to stderr."""
    typer.echo(text, err=True)


def log_to_stderr(quiet: bool) -> None:
    """Show what the stages say on the way."""
    logger = logging.getLogger("pocketbert")
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    logger.handlers = [_ToStderr()]


def table(headings: list[str], rows: list[list[str]], title: str | None = None) -> None:
    """Print a table; numbers are right-aligned, colour only appears on a terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for number, heading in enumerate(headings):
        grid.add_column(heading, justify="left" if number == 0 else "right", overflow="fold")
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(grid)


def pairs(rows: Mapping[str, str]) -> None:
    """Print names and what they say, one a line."""
    width = max(map(len, rows), default=0)
    for name, text in rows.items():
        write(f"{name:<{width}}  {text}")


def checked(name: str, cached: Mapping[str, bool], sizes: "Mapping[str, Size | None]") -> None:
    """Print what `check` found."""
    write(f"{name}: the recipe is valid\n")
    pairs({stage: "cached" if is_cached else "to do" for stage, is_cached in cached.items()})
    rows = [
        [model, "not known yet", "", "", ""]
        if size is None
        else [
            model,
            f"{size.parameters:,}",
            megabytes(size.float32_bytes),
            megabytes(size.int8_bytes),
            f"{size.macs / 1e6:,.0f} M at {size.length} tokens",
        ]
        for model, size in sizes.items()
    ]
    table(["estimate", "parameters", "FP32", "INT8", "MACs"], rows)


def timed(measured: "LatencyTable") -> None:
    """Print a latency table."""
    write(f"{measured.machine}, {measured.precision}, {measured.tokens} tokens\n")
    for unit, inner, last in (
        ("heads", measured.attention, measured.last_attention),
        ("neurons", measured.feed_forward, measured.last_feed_forward),
    ):
        columns = zip(inner.widths, inner.ms, last.ms, strict=True)
        rows = [[str(width), f"{ms:.3f} ms", f"{last_ms:.3f} ms"] for width, ms, last_ms in columns]
        table([unit, "a layer", "the last layer"], rows)


def general_states(size: "StatesSize | None") -> None:
    """Print what the teacher's states on plain text will take."""
    if size is None:
        write("general-outputs: the teacher's states are not known yet")
    elif size.bytes is None:
        write(f"general-outputs: {size.position_bytes:,} bytes a position; texts not here yet")
    else:
        write(
            f"general-outputs: about {megabytes(size.bytes)} of the teacher's states, "
            f"{size.position_bytes:,} bytes for each of some {size.positions:,} positions"
        )


def ran(run: "Run") -> None:
    """Print how a run ended."""
    if run.results is None:
        last = run.stages[-1]
        write(f"stopped after {last.name}; its files are in {last.folder}")
    else:
        result_table(read_report(run.results))
        gates(run.gates)
        bundle = run.results / "bundle"
        write(f"report: {run.results / 'report.html'}")
        write(f"bundle: {bundle}")
        write(f"try it: pocketbert predict {bundle} {example_text(bundle)}")
    if run.idle:
        write("nothing to do: every stage is cached")


def example_text(bundle: Path) -> str:
    """Return the text that a shell takes for what this bundle reads."""
    from pocketbert.deploy.bundle import read_bundle

    pairs = read_bundle(bundle, verify="lazy").manifest.pairs
    return r"$'your text\tits second text'" if pairs else '"your text"'


def gates(decided: "Sequence[GateResult]") -> None:
    """Print how gates ended; those that did not pass on stderr too, a line each."""
    if decided:
        table(
            ["gate", "outcome", "measured"],
            [[one.gate, one.outcome, one.explanation] for one in decided],
        )
    for one in decided:
        if one.outcome != "pass":
            word = "missed" if one.outcome == "miss" else one.outcome
            complain(f"gate {word}: {one.gate}: {one.explanation}")


def run_as_json(run: "Run") -> dict[str, Any]:
    """Return a run as JSON can say it."""
    stages = [asdict(stage) | {"folder": str(stage.folder)} for stage in run.stages]
    return {
        "idle": run.idle,
        "results": str(run.results) if run.results else None,
        "summary": read_report(run.results)["summary"] if run.results else None,
        "gates": [asdict(gate) for gate in run.gates],
        "stages": stages,
    }


def read_report(folder: Path) -> dict[str, Any]:
    """Read the `report.json` of a folder of results.

    Raises:
        UserError: There is none.
    """
    path = folder / "report.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}), expected the results of a run; "
            "run a recipe first"
        ) from error
    except ValueError as error:
        raise UserError(
            f"{path} is no JSON ({error}), expected the report of a run; run the recipe again"
        ) from error
    return found


def result_table(report: Mapping[str, Any]) -> None:
    """Print every artifact of a report."""
    rows = []
    metric = report["results"].get("metric", "accuracy")
    for result in report["results"]["artifacts"]:
        to_teacher, to_baseline = result["to_teacher"], result["to_baseline"]
        rows.append(
            [
                result["artifact"]["title"],
                metric_interval(metric, result["accuracy"]),
                _interval(to_teacher["retention"]) if to_teacher else "",
                f"{result['latency']['p50_ms']:.3g} ms",
                f"{to_teacher['p50_ratio']:.3g}x" if to_teacher else "",
                f"{to_baseline['p50_ratio']:.3g}x" if to_baseline else "",
                megabytes(result["footprint"]["weights_bytes"]),
            ]
        )
    headings = ["", metric, "of the teacher's", "p50", "PyTorch", "ONNX Runtime", "weights"]
    table(headings, rows, title=str(report["recipe"]["name"]))


def compared(reports: Mapping[Path, Mapping[str, Any]]) -> None:
    """Print one row for each of several runs."""
    rows = []
    for report in reports.values():
        summary, metric = report["summary"], report["results"].get("metric", "accuracy")
        rows.append(
            [
                str(report["recipe"]["name"]),
                metric,
                metric_value(metric, summary["teacher_accuracy"]),
                metric_value(metric, summary["engine_accuracy"]),
                percent(summary["retention"]),
                f"{summary['p50_ratio_pytorch']:.3g}x",
                f"{summary['p50_ratio_onnxruntime']:.3g}x",
                f"{summary['size_ratio']:.3g}x",
                f"{summary['wall_s']:,.0f} s",
            ]
        )
    headings = [
        "",
        "metric",
        "teacher",
        "engine",
        "kept",
        "PyTorch",
        "ONNX Runtime",
        "smaller",
        "work",
    ]
    table(headings, rows)


def run_comparison(found: "RunComparison") -> None:
    """Print what differs between two runs."""
    for title in ("recipe", "versions", "graph", "sizes", "results"):
        differences = getattr(found, title)
        if not differences:
            write(f"{title}: the same\n")
            continue
        rows = [[one.what, one.first, one.second, one.verdict] for one in differences]
        table([title, "first", "second", ""], rows)


def scored(found: Mapping[str, Any]) -> None:
    """Print what `eval` measured, and what it compared."""
    for score in found["scores"]:
        write(str(score["engine"]))
        rows = {
            "examples": f"{score['examples']:,}",
            score["metric"]: metric_interval(score["metric"], score["accuracy"]),
        }
        rows |= {name: f"{value:.4f}" for name, value in score["further"].items()}
        if score["macro_f1"]:
            rows["macro F1"] = _interval(score["macro_f1"])
            rows["calibration error"] = percent(score["calibration_error"])
        if timing := found.get("timing"):
            rows["latency"] = ", ".join(f"p{p} {timing[f'p{p}_ms']:.3g} ms" for p in (50, 90, 99))
            rows["peak memory"] = megabytes(timing["peak_bytes"])
        pairs(rows)
        for label, one in score["classes"].items():
            ratios = ", ".join(
                f"{key} {percent(one[key])}" for key in ("precision", "recall", "f1")
            )
            write(f"  {label}: {ratios}")
        rows_of_slices = [
            [
                f"{part['by']}: {part['name']}",
                f"{part['examples']:,}",
                metric_interval(score["metric"], part["accuracy"]),
                metric_interval(score["metric"], part["difference"]) if part["difference"] else "",
            ]
            for part in score["slices"]
        ]
        table(["slice", "examples", score["metric"], "difference"], rows_of_slices)
    if paired := found.get("paired"):
        _compared_pairwise(paired)


def loaded(results: Iterable[Mapping[str, Any]]) -> None:
    """Print what `load` measured."""
    rows = []
    for result in results:
        told = "" if result["loadgen_valid"] else "fewer queries than LoadGen wants"
        if result["bound_ms"] is not None:
            kept = "keeps" if result["bound_kept"] else "NO RATE keeps"
            told = f"{result['rate_per_s']:,.1f} arrivals/s: {kept} {result['bound_ms']:g} ms"
        latencies = [f"{result[f'p{p}_ms']:,.3g} ms" for p in (50, 90, 99)]
        rows.append(
            [
                result["scenario"],
                f"{result['queries']:,}",
                f"{result['texts_per_s']:,.1f}",
                *latencies,
                told,
            ]
        )
    table(["scenario", "queries", "texts/s", "p50", "p90", "p99", ""], rows)


def _compared_pairwise(paired: Mapping[str, Any]) -> None:
    write(f"{paired['ours']} against {paired['theirs']}: {paired['verdict']}")
    ours, theirs = paired["seeds"]
    our_accuracy, their_accuracy = (
        metric_value(paired["metric"], paired["our_accuracy"]),
        metric_value(paired["metric"], paired["their_accuracy"]),
    )
    rows = {
        paired["metric"]: f"{our_accuracy} against {their_accuracy}",
        "difference": metric_interval(paired["metric"], paired["difference"]),
        "kept": _interval(paired["retention"]),
        "same answer": _interval(paired["agreement"]),
        "flips": f"{paired['to_wrong']:,} to wrong, {paired['to_right']:,} to right",
    }
    if paired["mcnemar_p"] is not None:
        rows["McNemar's p"] = f"{paired['mcnemar_p']:.2g}"
    if max(ours, theirs) > 1:
        rows["seeds"] = f"{ours} against {theirs}; intervals are over examples and seeds"
    pairs(rows)
    write(paired["can_tell"])
    for flip in paired["worst"]:
        write(f"  {flip['theirs']} -> {flip['ours']}: {flip['text'][:100]}")


def self_tested(result: "SelftestResult") -> None:
    """Print how a self-test ended."""
    write(result.engine)
    write(
        f"{'passed' if result.passed else 'FAILED'}: {result.texts} golden texts, "
        f"{result.texts_with_other_tokens} cut into other tokens, largest difference of a logit "
        f"{result.max_abs_difference:.2g} (allowed {result.tolerance:.2g})"
    )


def benched(result: "BenchResult") -> None:
    """Print what was measured on a device, and what was not and why."""
    headings = ["bundle, target", "texts", "p50", "p90", "p99", "cold start", "resident", "peak"]
    headings += ["power", "energy a text"]
    table(
        headings,
        [
            [
                f"{row.bundle}, {row.target}",
                row.texts,
                f"{row.p50_ms:.3g} ms",
                f"{row.p90_ms:.3g} ms",
                f"{row.p99_ms:.3g} ms",
                f"{row.cold_start_ms:,.0f} ms",
                megabytes(row.resident_bytes),
                megabytes(row.peak_bytes),
                "-" if row.power_w is None else f"{row.power_w:.2f} W",
                "-" if row.energy_mj is None else f"{row.energy_mj:.3g} mJ",
            ]
            for row in result.rows
        ],
    )
    state = result.content["power_state"]["before"]
    locked = {True: "locked", False: "not locked: they follow the load", None: "not readable"}
    idle = result.content["idle"]
    pairs(
        {
            "power mode": state["power_mode"],
            "clocks": locked[state["locked"]],
            **{f"sensor {name}": found for name, found in result.sensors.items()},
            **({"idle power": f"{idle['power_w']:.2f} W, subtracted"} if idle else {}),
            **{f"not run: {title}": reason for title, reason in result.passed_over.items()},
        }
    )


def was_built(result: "BuildResult") -> None:
    """Print what came of building; that another target will run is not to be missed."""
    for sentence in result.said:
        write(sentence)
    if result.fell_back:
        complain(f"NOTE: {result.target} will run instead of {result.asked}")


def diagnosed(diagnosis: "Diagnosis") -> None:
    """Print what this machine can run."""
    memory = diagnosis.memory_bytes
    pairs(
        {
            "pocketbert": diagnosis.pocketbert,
            "python": diagnosis.python,
            "system": diagnosis.system,
            "processor": f"{diagnosis.cpu}, {diagnosis.cpus} usable",
            "instruction sets": ", ".join(diagnosis.instruction_sets) or "none that matter",
            "BF16": "native" if diagnosis.bfloat16 else "not native: training stays in FP32",
            "INT8 layout": f"{diagnosis.int8_isa}: {diagnosis.int8_layout}",
            "memory": megabytes(memory) if memory else "unknown",
            "free disk": megabytes(diagnosis.free_disk_bytes),
            "training threads": str(diagnosis.torch_threads),
        }
    )
    write("\ntargets")
    pairs({f"  {name}": state for name, state in diagnosis.targets.items()})
    write("\nengines built here")
    for sentence in diagnosis.engines or ("none",):
        write(f"  {sentence}")
    write("\nabilities")
    for ability in diagnosis.abilities:
        found = ", ".join(f"{name} {version}" for name, version in ability.versions.items())
        state = f"lacks {', '.join(ability.missing)}" if ability.missing else "ready"
        write(f"  {ability.name}: {state}")
        write(f"    found {found or 'nothing'}")
        if ability.install:
            write(f"    {ability.install}")


def percent(fraction: float) -> str:
    """0.914 -> `91.4 %`."""
    return f"{100 * fraction:.1f} %"


def metric_value(metric: str, value: float) -> str:
    """Accuracy in percent, every other metric as the number that it is."""
    return percent(value) if metric == "accuracy" else f"{value:.3f}"


def metric_interval(metric: str, interval: Mapping[str, float]) -> str:
    """A metric with its interval: `91.4 % (89.4 to 93.1)`, or `0.807 (0.781 to 0.832)`."""
    if metric == "accuracy":
        return _interval(interval)
    value, low, high = (interval[end] for end in ("value", "low", "high"))
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def metric_change(metric: str, change: "Interval") -> str:
    """A difference with its interval: `+1.2 points (+0.1 to +2.3)`, or `+0.012 (+0.001 to ...)`."""
    ends = (change.value, change.low, change.high)
    if metric == "accuracy":
        value, low, high = (f"{100 * end:+.1f}" for end in ends)
        return f"{value} points ({low} to {high})"
    value, low, high = (f"{end:+.3f}" for end in ends)
    return f"{value} ({low} to {high})"


def megabytes(count: float) -> str:
    """Decimal megabytes, or gigabytes from ten: `17.4 MB`."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e10 else f"{count / 1e6:,.1f} MB"


def _interval(interval: Mapping[str, float]) -> str:
    low, high = 100 * interval["low"], 100 * interval["high"]
    return f"{percent(interval['value'])} ({low:.1f} to {high:.1f})"


class _ToStderr(logging.Handler):
    """Looks stderr up anew for each line, because a progress bar takes its place for a while."""

    def emit(self, record: logging.LogRecord) -> None:
        complain(self.format(record))
