"""What the times say: medians, paired ratios with their intervals, bars, a chart."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from engine_peers.contestants import BASELINE, ONNX_INT8, PEERS

CONFIDENCE, RESAMPLES, SEED = 0.95, 2000, 0
MIN_AGREEMENT = 0.99
# However wide an interval is, noise excuses no more than this.
MAX_NOISE = 0.05
MIN_SPEEDUP_ON_ONNX_INT8 = 1.2
MIN_SPEEDUP_ON_MIX = 1.3
FLOOR_POINT = "1x128"
COLUMNS = 2
PEER_NAMES = [peer.name for peer in PEERS]
MARKERS = "sD^v"

Race = dict[str, Any]


def summary(race: Race) -> dict[str, Any]:
    """A race without its raw times: by point and engine the median and what it is beside others."""
    points = {
        point: {
            name: {"ms": median_ms(race, point, name)}
            | {"speedup": speedup(race, name, BASELINE, point)}
            for name in times
        }
        for point, times in race["raw"].items()
        if point != "mix_padded"
    }
    if "mix_padded" in race["raw"]:
        points["mix_padded"] = {
            name: {"ms": median_ms(race, "mix_padded", name)} for name in race["raw"]["mix_padded"]
        }
    over_floor = {
        name: median_ms(race, FLOOR_POINT, name) / race["floor_ms"]
        for name in race["raw"].get(FLOOR_POINT, {})
    }
    left_out = ("raw", "asked", "titles")
    kept = {key: value for key, value in race.items() if key not in left_out}
    return kept | {"points": points, "times_floor": over_floor}


def median_ms(race: Race, point: str, name: str) -> float:
    return float(np.median(round_medians(race, point, name)))


def round_medians(race: Race, point: str, name: str) -> np.ndarray:
    return np.array([np.median(times) for times in race["raw"][point][name]])


def speedup(
    race: Race, ours: str, theirs: str, point: str, their_point: str = "", judging: bool = False
) -> dict[str, Any]:
    """How many times as fast the first is: median of the rounds' ratios, with its interval.

    Those that judge are the rounds by which nothing was chosen.
    """
    ratios = round_medians(race, their_point or point, theirs) / round_medians(race, point, ours)
    ratios = ratios[1::2] if judging else ratios
    interval = (
        stats.bootstrap(
            (ratios,),
            np.median,
            method="percentile",
            confidence_level=CONFIDENCE,
            n_resamples=RESAMPLES,
            rng=np.random.default_rng(SEED),
        ).confidence_interval
        if np.ptp(ratios)  # one engine beside itself has no spread
        else (ratios[0], ratios[0])
    )
    return {
        "value": float(np.median(ratios)),
        "low": float(interval[0]),
        "high": float(interval[1]),
    }


def bars(race: Race) -> list[dict[str, Any]]:
    """The claims about what `auto` publishes: the fastest of our engines that answers right.

    As `auto` does, it is chosen by measuring, on half of the rounds; the others judge it.
    """
    where = f"{race['model']}, {race['threads']} thread{'s' if race['threads'] > 1 else ''}"
    found = [
        {"name": f"{where}: {ours} runs", "value": False, "target": True, "holds": False}
        for ours in race["titles"]
        if ours.startswith("ours/") and ours in race["failed"]
    ]
    for point in (*single_points(race), *({"mix"} & race["raw"].keys())):
        ours = chosen(race, point)
        if ours is None:
            name = f"{where}: {point}, an engine of ours with agreement >= {MIN_AGREEMENT}"
            found.append({"name": name, "value": None, "target": "one", "holds": False})
            continue
        found += beside_best_peer(race, ours, f"{where}: {point}, {ours}", point)
        found += beside_onnx_int8(race, ours, f"{where}: {point}, {ours}", point)
    return found


def is_right(race: Race, name: str) -> bool:
    return bool(race["agreement"][name]["value"] >= MIN_AGREEMENT)


def chosen(race: Race, point: str) -> str | None:
    """Our fastest engine that agrees with FP32, by the first, third, fifth ... round."""
    names = [name for name in race["raw"][point] if name.startswith("ours/")]
    by_name = {
        name: float(np.median(round_medians(race, point, name)[::2]))
        for name in names
        if is_right(race, name)
    }
    return min(by_name, key=by_name.__getitem__) if by_name else None


def beside_best_peer(race: Race, ours: str, where: str, point: str) -> list[dict[str, Any]]:
    """No slower than the best peer that answers right."""
    peers = [
        name for name in race["raw"][point] if not name.startswith("ours/") and is_right(race, name)
    ]
    best = min(peers, key=lambda name: median_ms(race, point, name))
    ratio = speedup(race, ours, best, point, judging=True)
    no_slower = ratio["high"] >= 1.0 and ratio["value"] >= 1.0 - MAX_NOISE
    name = f"{where}: times as fast as the best peer ({best})"
    return [bar(name, ratio, ">= 1 but for noise", no_slower)]


def beside_onnx_int8(race: Race, ours: str, where: str, point: str) -> list[dict[str, Any]]:
    """Faster than the INT8 files of optimum and Olive, whatever those answer."""
    padded = point == "mix"
    their_point = "mix_padded" if padded else point
    times = race["raw"].get(their_point, {})
    files = [name for name in ONNX_INT8 if name in times]
    if not files:
        return []
    best = min(files, key=lambda name: median_ms(race, their_point, name))
    ratio = speedup(race, ours, best, point, their_point, judging=True)
    least = MIN_SPEEDUP_ON_MIX if padded else MIN_SPEEDUP_ON_ONNX_INT8
    name = f"{where}: times as fast as {best}" + (" padded to 128" if padded else "")
    return [bar(name, ratio, f">= {least}", ratio["value"] >= least)]


def bar(name: str, ratio: dict[str, Any], target: str, holds: bool) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(ratio["value"], 3),
        "interval": [round(ratio["low"], 3), round(ratio["high"], 3)],
        "target": target,
        "holds": bool(holds),
    }


def single_points(race: Race) -> list[str]:
    return [point for point in race["raw"] if point.startswith("1x")]


def draw(races: list[Race], path: Path) -> None:
    """Times as fast as ONNX Runtime in FP32, one panel a model and thread count."""
    rows = max(1, -(-len(races) // COLUMNS))
    figure = Figure(figsize=(12, 4.2 * rows), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, squeeze=False).flatten()
    for panel in panels[len(races) :]:
        panel.remove()
    for panel, race in zip(panels, races, strict=False):
        points = [point for point in race["raw"] if point != "mix_padded"]
        for name, title in race["titles"].items():
            there = [point for point in points if name in race["raw"][point]]
            if there:
                values = [speedup(race, name, BASELINE, point)["value"] for point in there]
                right = race["agreement"][name]["value"]
                panel.plot(there, values, label=f"{title} ({right:.3f})", **style_of(name, race))
        panel.set_yscale("log")
        panel.grid(alpha=0.3, which="both")
        panel.set_title(f"{race['model']}, {race['threads']} thread(s)")
        panel.set_ylabel("times as fast as ONNX Runtime FP32")
        panel.legend(fontsize=6, title="(agreement)", title_fontsize=6)
    figure.savefig(path, dpi=120, metadata={"Software": None})


def style_of(name: str, race: Race) -> dict[str, Any]:
    """Ours in black, told apart by their markers; a peer has one colour in all panels."""
    if name in PEER_NAMES:
        return {"color": f"C{PEER_NAMES.index(name)}", "marker": "o", "linewidth": 1}
    ours = [one for one in race["titles"] if one not in PEER_NAMES]
    marker = MARKERS[ours.index(name) % len(MARKERS)]
    return {"color": "black", "marker": marker, "linewidth": 2}
