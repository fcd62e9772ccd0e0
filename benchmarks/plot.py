"""Quality against speed, README's plot: LPIPS on BSD100 over images per second, 480x270 to 1920x1080.

Drawn by `python -m benchmarks.report` from quality.json, upscalers.json and the cpu-engines-KIND.json of the same kind
of processor, all in benchmarks/results. Of upscalers.json it shows OpenCV's filters: Real-ESRGAN was trained for
damaged input, which this set is not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.ticker import LogLocator

SET = "BSD100"
SCALE = 4  # of 480x270 to 1920x1080
OURS = "fastsr"
COLORS = {"fastsr": "C3", "PyTorch": "C1", "ONNX Runtime": "C0", "OpenVINO": "C2", "ncnn": "C4"}


def points(quality: dict[str, Any], engines: dict[str, Any]) -> dict[tuple[str, str], tuple[float, float]]:
    """(model, runtime) -> (images per second, LPIPS) of the runtime's fastest precision whose quality was measured."""
    scores = {
        (r["model"], r["precision"]): r["lpips"] for r in quality["rows"] if r["set"] == SET and r["scale"] == SCALE
    }
    found: dict[tuple[str, str], tuple[float, float]] = {}
    for result in engines["results"]:
        for way, row in result["rows"].items():
            precision = next(p for p in ("int8", "bf16", "fp32") if p in way)
            runtime = next(name for name in COLORS if way.startswith(name))
            score, key = scores.get((result["model"], precision)), (result["model"], runtime)
            if score is not None:
                found[key] = max(found.get(key, (0.0, score)), (1e3 / row["median_ms"], score))
    return found


def filters(upscalers: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Filter -> (images per second, LPIPS) of OpenCV's, where they were measured on the same set."""
    rows = upscalers["rows"] if upscalers["set"] == SET else {}
    return {name: (1e3 / row["median_ms"], row["lpips"]) for name, row in rows.items() if name.startswith("OpenCV")}


def draw(quality: dict[str, Any], engines: dict[str, Any], upscalers: dict[str, Any], path: Path) -> None:
    """Write the plot. Better is up and to the right; fastsr's points are large and carry the model's name."""
    figure, axes = pyplot.subplots(figsize=(8, 3.8), dpi=110)
    made, classic = points(quality, engines), filters(upscalers)
    for runtime, color in COLORS.items():
        mine = [point for (_, name), point in made.items() if name == runtime]
        if mine:
            size = 130 if runtime == OURS else 45
            axes.scatter(*zip(*mine, strict=True), s=size, c=color, label=runtime, zorder=4 if runtime == OURS else 3)
    for model in dict.fromkeys(model for model, _ in made):
        right = max(point for (name, _), point in made.items() if name == model)
        axes.annotate(model, right, xytext=(11, -4), textcoords="offset points", weight="bold")
    if classic:
        axes.scatter(
            *zip(*classic.values(), strict=True), s=45, c="0.5", marker="^", label="OpenCV's filters", zorder=3
        )
    for number, (name, spot) in enumerate(classic.items()):
        offset = 0, -15 if number % 2 else 8  # they lie close to each other
        text = name.removeprefix("OpenCV ")
        axes.annotate(text, spot, xytext=offset, textcoords="offset points", ha="center", color="0.35")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter("")
    axes.set_xlim(right=2 * max([3 / 2 * x for x, _ in made.values()] + [x for x, _ in classic.values()]))
    axes.margins(y=0.12)
    axes.invert_yaxis()  # less is better
    axes.set_xlabel(f"images per second, 480x270 to 1920x1080, {engines['machine']['processor']}")
    axes.set_ylabel(f"LPIPS on {SET} (up is better)")
    axes.set_title("The same weights in several runtimes: up and to the right is better", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9, loc="center left", bbox_to_anchor=(1.01, 0.5))
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})
    pyplot.close(figure)
