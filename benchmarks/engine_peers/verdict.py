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
    race: Race, ours: str, theirs: str, point: str, their_point: str = ""
) -> dict[str, Any]:
    """How many times as fast the first is: median of the rounds' ratios, with its interval."""
    ratios = round_medians(race, their_point or point, theirs) / round_medians(race, point, ours)
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
    """The three claims, for each of our engines; one that could not be run misses all."""
    found = []
    for ours in (name for name in race["titles"] if name.startswith("ours/")):
        where = f"{race['model']}, {race['threads']} threads, {ours}"
        if ours in race["failed"]:
            found.append({"name": where, "value": None, "target": "runs", "holds": False})
            continue
        right = race["agreement"][ours]["value"]
        found.append(
            {
                "name": f"{where}: agreement with FP32",
                "value": right,
                "target": f">= {MIN_AGREEMENT}",
                "holds": right >= MIN_AGREEMENT,
            }
        )
        found += beside_best_peer(race, ours, where)
        found += beside_onnx_int8(race, ours, where)
    return found


def beside_best_peer(race: Race, ours: str, where: str) -> list[dict[str, Any]]:
    """No slower than the best peer that answers right, and right itself, at each length and mix."""
    right = race["agreement"][ours]["value"] >= MIN_AGREEMENT
    found = []
    for point in (*single_points(race), *({"mix"} & race["raw"].keys())):
        peers = [
            name
            for name in race["raw"][point]
            if not name.startswith("ours/") and race["agreement"][name]["value"] >= MIN_AGREEMENT
        ]
        best = min(peers, key=lambda name: median_ms(race, point, name))
        ratio = speedup(race, ours, best, point)
        name = f"{where}: {point}, times as fast as the best peer ({best})"
        no_slower = right and ratio["high"] >= 1.0 and ratio["value"] >= 1.0 - MAX_NOISE
        found.append(bar(name, ratio, ">= 1 but for noise", no_slower))
    return found


def beside_onnx_int8(race: Race, ours: str, where: str) -> list[dict[str, Any]]:
    """Faster than the INT8 files of optimum and Olive, whatever those answer."""
    found = []
    for point in (*single_points(race), "mix"):
        their_point = "mix_padded" if point == "mix" else point
        times = race["raw"].get(their_point, {})
        files = [name for name in ONNX_INT8 if name in times]
        if not files:
            continue
        best = min(files, key=lambda name: median_ms(race, their_point, name))
        ratio = speedup(race, ours, best, point, their_point)
        padded = point == "mix"
        least = MIN_SPEEDUP_ON_MIX if padded else MIN_SPEEDUP_ON_ONNX_INT8
        name = f"{where}: {point}, times as fast as {best}" + (" padded to 128" if padded else "")
        found.append(bar(name, ratio, f">= {least}", ratio["value"] >= least))
    return found


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
