"""LPIPS of photo-x4 over the hours of its training: `python -m benchmarks.training_curve RUNS PACK --weights FOLDER`.

RUNS holds the stages of the training as `make train` keeps them (read only), PACK the photographs set aside on which it
measures its steps; the ways that stand beside it are measured on the same. Writes
benchmarks/results/training-curve.json and draws docs/assets/photo-x4-hours.svg of it; without arguments it only draws.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

RESULTS = Path(__file__).parent / "results" / "training-curve.json"
PLOT = Path(__file__).parent.parent / "docs" / "assets" / "photo-x4-hours.svg"
STAGES = ("photo-x4-learn", "photo-x4-detail", "photo-x4-sharp")
OTHERS = ("bicubic", "fast-x4", "realesrgan-x4plus")
MEASURES = ("lpips", "psnr", "grid")
SCALE = 4


def stage(folder: Path) -> dict[str, Any]:
    """What a run's last state and its log tell: steps, hours, FLOP, and what was measured at which step."""
    from safetensors import safe_open
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with safe_open(folder / "state.safetensors", "pt") as state:  # type: ignore[no-untyped-call]
        about = json.loads(state.metadata()["about"])
    measured: dict[int, dict[str, float]] = {}
    for log in sorted((folder / "log").iterdir()):  # the steps after a state that was lost are measured again
        events = EventAccumulator(str(log), size_guidance={"scalars": 0}).Reload()  # type: ignore[no-untyped-call]
        for measure in MEASURES:
            if f"validation/{measure}" in events.Tags()["scalars"]:  # type: ignore[no-untyped-call]
                for event in events.Scalars(f"validation/{measure}"):  # type: ignore[no-untyped-call]
                    measured.setdefault(event.step, {})[measure] = round(event.value, 4)
    return {
        "name": folder.name,
        "steps": about["step"],
        "hours": round(about["seconds"] / 3600, 2),
        "flop": about["flop"],
        "measured": [{"step": step, **values} for step, values in sorted(measured.items()) if step <= about["step"]],
    }


def others(pack: Path, weights: Path) -> dict[str, dict[str, float]]:
    """What other ways reach on the same photographs."""
    import numpy as np
    import torch

    import fastsr
    from training.learning.validation import Validation

    validation = Validation(pack, SCALE, weights, "cpu")
    made = {}
    for name in OTHERS:
        upscaler = fastsr.load(name, "cpu", "fp32")

        def generator(low: torch.Tensor, upscaler: fastsr.Upscaler = upscaler) -> torch.Tensor:
            pixels = (low[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
            large = upscaler.upscale(pixels, scale=SCALE)
            return torch.from_numpy(large).permute(2, 0, 1)[None].float() / 255

        measured = validation.measure(generator)[0]
        made[name] = {measure: round(measured[measure], 4) for measure in MEASURES}
        print(f"{name}: {made[name]}", flush=True)
    return made


def points(stages: list[dict[str, Any]]) -> list[list[tuple[float, float]]]:
    """(hours since the first stage began, LPIPS) of each stage; a run's hours are spread evenly over its steps."""
    begun, made = 0.0, []
    for run in stages:
        rate = run["hours"] / run["steps"]
        made.append([(begun + rate * row["step"], row["lpips"]) for row in run["measured"]])
        begun += run["hours"]
    return made


def draw(content: dict[str, Any], path: Path) -> None:
    """Write the plot."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    begun, last = 0.0, None
    for run, measured in zip(content["stages"], points(content["stages"]), strict=True):
        label = f"{run['name']}: {run['steps']} steps, {run['flop']:.1e} FLOP, {run['hours']:.1f} h"
        line = axes.plot(*zip(*measured, strict=True), marker="o", markersize=4, label=label)[0]
        if last is not None:
            axes.plot(*zip(last, measured[0], strict=True), color=line.get_color(), linewidth=0.8, linestyle="--")
        begun, last = begun + run["hours"], measured[-1]
    for name, values in content["others"].items():
        axes.axhline(values["lpips"], color="0.5", linewidth=0.8)
        axes.annotate(
            name, (begun, values["lpips"]), xytext=(0, 3), textcoords="offset points", ha="right", color="0.35"
        )
    axes.set(xlabel=f"hours of training on {content['machine']}", ylabel="LPIPS, less is better", xlim=(0, begun))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="lower left")
    with matplotlib.rc_context({"svg.hashsalt": "fastsr"}):  # the same file from the same results
        figure.savefig(path, format="svg", metadata={"Date": None})


def main() -> None:
    """Read, measure, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="?")
    parser.add_argument("pack", type=Path, nargs="?")
    parser.add_argument("--weights", type=Path, help="folder of VGG19 and LPIPS")
    parser.add_argument("--machine", default="two shared Zen 4 cores", help="what the training ran on")
    arguments = parser.parse_args()
    if arguments.runs is not None:
        if arguments.pack is None or arguments.weights is None:
            parser.error("RUNS needs PACK and --weights too")
        stages = [stage(arguments.runs / name) for name in STAGES]
        content = {"machine": arguments.machine, "stages": stages, "others": others(arguments.pack, arguments.weights)}
        RESULTS.write_text(json.dumps(content, indent=2) + "\n")
    draw(json.loads(RESULTS.read_text()), PLOT)
    print(f"wrote {PLOT}")


if __name__ == "__main__":
    main()
