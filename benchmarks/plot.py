"""Quality against speed, as a picture for README: PSNR on BSD100 over frames per second, 480x270 to 1920x1080.

Read from benchmarks/results/quality.json, upscalers.json and the cpu-engines-KIND.json of the same kind of processor by
`python -m benchmarks.report`. Of upscalers.json OpenCV's filters: PSNR says nothing of generators that were trained for
detail, such as Real-ESRGAN's.
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


def points(quality: dict[str, Any], engines: dict[str, Any]) -> list[tuple[str, str, float, float]]:
    """(model, way, frames per second, dB) of every way that was timed at a precision whose quality was measured."""
    scores = {
        (r["model"], r["precision"]): r["psnr"] for r in quality["rows"] if r["set"] == SET and r["scale"] == SCALE
    }
    found = []
    for result in engines["results"]:
        for way, row in result["rows"].items():
            score = scores.get((result["model"], "int8" if "int8" in way else "fp32"))
            if score is not None and "NCHW" not in way:
                found.append((result["model"], way, 1e3 / row["median_ms"], score))
    return found


def filters(upscalers: dict[str, Any]) -> list[tuple[str, float, float]]:
    """(filter, frames per second, dB) of OpenCV's, where they were measured on the same set."""
    rows = upscalers["rows"] if upscalers["set"] == SET else {}
    return [(name, 1e3 / row["median_ms"], row["psnr"]) for name, row in rows.items() if name.startswith("OpenCV")]


def draw(quality: dict[str, Any], engines: dict[str, Any], upscalers: dict[str, Any], path: Path) -> None:
    """Write the plot; models are named at their fastest way, ours stands out."""
    figure, axes = pyplot.subplots(figsize=(8, 4.2), dpi=110)
    made = points(quality, engines)
    for way, color in COLORS.items():
        for form, marker in (("fp32", "o"), ("int8", "s")):
            mine = [(x, y) for _, name, x, y in made if name.startswith(way) and ("int8" in name) == (form == "int8")]
            if mine:
                size = 80 if way == OURS else 36
                axes.scatter(*zip(*mine, strict=True), s=size, c=color, marker=marker, label=f"{way}, {form}", zorder=3)
    for model in dict.fromkeys(model for model, *_ in made):
        spots = [(x, y) for name, _, x, y in made if name == model]
        right = max(spots)
        axes.annotate(model, right, xytext=(10, -3), textcoords="offset points")
    classic = filters(upscalers)
    for name, x, y in classic:
        axes.scatter(x, y, s=36, c="0.5", marker="^", zorder=3)
        axes.annotate(name, (x, y), xytext=(-6, 8), textcoords="offset points", ha="right", color="0.35")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter("")
    axes.set_xlim(right=2 * max([3 / 2 * x for _, _, x, _ in made] + [x for _, x, _ in classic]))
    axes.set_xlabel(f"frames per second, 480x270 to 1920x1080, {engines['machine']['processor']}")
    axes.set_ylabel(f"PSNR on {SET}, dB")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})
    pyplot.close(figure)
