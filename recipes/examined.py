"""What the doctor found, on the screen."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import screen

if TYPE_CHECKING:
    from pocketbert.eval.doctor import Finding
    from pocketbert.eval.doctor.accuracy import AccuracyReport, Layer
    from pocketbert.eval.doctor.examine import Examination
    from pocketbert.eval.doctor.speed import SpeedReport

SHOWN_LAYERS = 12


def examined(found: "Examination") -> None:
    """Print an examination: speed by target, then what makes answers wrong, then the layers."""
    for report in found.speed:
        _speed(report, found.texts)
    _findings(found.numerics)
    if found.accuracy:
        _accuracy(found.accuracy)
    findings = [finding for report in found.speed for finding in report.findings]
    if not (findings or found.numerics or (found.accuracy and found.accuracy.findings)):
        screen.write("nothing found that a recipe should change")


def _speed(report: "SpeedReport", texts: int) -> None:
    screen.write(
        f"{report.subject} ({report.runtime}): {report.p50_ms:.3g} ms at the median of {texts} "
        f"texts, without the tokenizer; {report.int8_products} products with weights in INT8, "
        f"{report.float_products} in float"
    )
    rows = [
        [share.kind, share.types, str(share.count), screen.percent(share.share)]
        for share in report.operators
    ]
    screen.table(["operator", "types", "count", "of the time"], rows)
    _findings(report.findings)


def _findings(findings: "Sequence[Finding]") -> None:
    for finding in findings:
        screen.write(f"{finding.kind} ({finding.subject})")
        screen.write(f"  found: {finding.found}")
        screen.write(f"  remedy: {finding.remedy}\n")


def _accuracy(report: "AccuracyReport") -> None:
    screen.write(
        f"INT8 on {report.texts:,} validation texts: {report.metric} "
        f"{screen.metric_value(report.metric, report.int8_accuracy)}, float "
        f"{screen.metric_value(report.metric, report.float_accuracy)}; "
        f"the float model's answer on {screen.percent(report.int8_agreement)}"
    )
    headings = ["alone: diverges", "alone: agrees", f"without: {report.metric}"]
    screen.table(
        ["layer", *headings, "outliers", "weights off by"],
        [_layer(layer, report.metric) for layer in report.layers[:SHOWN_LAYERS]],
    )
    if len(report.layers) > SHOWN_LAYERS:
        screen.write(f"and {len(report.layers) - SHOWN_LAYERS} layers that it harms less\n")
    _findings(report.findings)
    if not report.suggested:
        screen.write("no layer needs to stay in float: INT8 loses no more than the gate allows")
        return
    names = "; ".join(", ".join(operators) for operators in report.suggested)
    gain = report.suggested_gain
    screen.write(
        f"suggested in float: {names}\n"
        f"  measured: {report.metric} "
        f"{screen.metric_value(report.metric, report.suggested_accuracy)}, "
        f"{screen.metric_change(report.metric, gain)}, "
        f"the float model's answer on {screen.percent(report.suggested_agreement)}, "
        f"{report.p50_ratio_to_int8:.2f} times the latency of all in INT8\n"
        + ("  no measurable difference: all in INT8 is as good\n" if gain.holds(0) else "")
        + "  remedy: quantize.guard does this on every run (max_drop, min_agreement)"
    )


def _layer(layer: "Layer", metric: str) -> list[str]:
    return [
        ", ".join(layer.operators),
        f"{layer.alone_divergence:.2g}",
        screen.percent(layer.alone_agreement),
        screen.metric_change(metric, layer.without_gain),
        f"{layer.outlier_ratio:.1f}x",
        screen.percent(layer.weight_error),
    ]
