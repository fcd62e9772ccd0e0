"""The curves of runs as an image: losses, validation PSNR, what the discriminator gets right."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fastsr import files
from training.data.image_folders import DataError

PANELS = {"loss/": "loss", "validation/": "validation PSNR (Y), dB", "accuracy/": "share judged right"}


def draw(runs: list[Path], target: Path) -> None:
    """Draw what the runs in these folders logged, one line per run and curve, as PNG or SVG."""
    logs = {folder.name: _read(folder) for folder in runs}
    panels = [p for p in PANELS if any(tag.startswith(p) for curves in logs.values() for tag in curves)]
    figure = Figure(figsize=(5 * len(panels), 3.6), layout="constrained")
    for axes, prefix in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for name, curves in logs.items():
            for tag, (steps, values) in curves.items():
                if tag.startswith(prefix):
                    what = tag.removeprefix(prefix)
                    axes.plot(steps, values, label=name if prefix == "validation/" else f"{name}: {what}", linewidth=1)
        axes.set_xlabel("step")
        axes.set_title(PANELS[prefix], fontsize=10)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
        if prefix == "loss/":
            axes.set_yscale("log")
    target.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(target) as temporary:
        figure.savefig(temporary, format=target.suffix[1:] or "png", dpi=110)


def _read(folder: Path) -> dict[str, tuple[list[int], list[float]]]:
    if not (folder / "log").is_dir():
        raise DataError(f"{folder}: holds no curves; it must be the folder of a run, RUNS/NAME")
    events = EventAccumulator(str(folder / "log"), size_guidance={"scalars": 0}).Reload()  # type: ignore[no-untyped-call]
    tags = events.Tags()["scalars"]  # type: ignore[no-untyped-call]
    return {t: ([e.step for e in events.Scalars(t)], [e.value for e in events.Scalars(t)]) for t in sorted(tags)}  # type: ignore[no-untyped-call]
