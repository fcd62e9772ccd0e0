"""README's tables and picture, from what was measured: `python -m benchmarks.report` (`--check` only compares).

A table stands between `<!-- name -->` and `<!-- /name -->` and is made from benchmarks/results/*.json alone.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from benchmarks import memory as measured_memory
from benchmarks import ops as measured_ops
from benchmarks import plot
from benchmarks import upscalers as measured_upscalers
from benchmarks import video as measured_video

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
README = ROOT / "README.md"
PICTURE = ROOT / "docs" / "assets" / "side-by-side.png"
PLOT = ROOT / "docs" / "assets" / "quality-speed.png"

MEASURES = {"psnr": ("PSNR", 2), "ssim": ("SSIM", 4), "lpips": ("LPIPS", 3)}


def quality() -> str:
    """A row per model and precision: PSNR / SSIM (/ LPIPS) per test set."""
    content = _read("quality.json")
    rows = content["rows"]
    sets = list(dict.fromkeys(row["set"] for row in rows))
    measures = [m for m in MEASURES if all(m in row for row in rows)]
    title = " / ".join(MEASURES[m][0] for m in measures)
    lines = ["| model | " + " | ".join(f"{s}, {title}" for s in sets) + " |", "|---|" + "---|" * len(sets)]
    for key in dict.fromkeys((row["model"], row["scale"], row["precision"]) for row in rows):
        model, scale, precision = key
        mine = {r["set"]: r for r in rows if (r["model"], r["scale"], r["precision"]) == key}
        cells = [" / ".join(f"{mine[s][m]:.{MEASURES[m][1]}f}" for m in measures) for s in sets]
        name = f"`{model}` x{scale}" if model == "bicubic" else f"`{model}`"
        name += "" if precision == "fp32" else f", {precision}"
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    note = "Measured through `fastsr.upscale` (fp32 where nothing else is said), PSNR and SSIM on the luma channel. "
    return "\n".join([*lines, "", note + _where(content)])


def ops() -> str:
    """A row per kernel: milliseconds and ratios."""
    content = _read("ops.json")
    note = f"Medians of {content['rounds']} interleaved rounds. "
    return "\n".join([measured_ops.table(content["milliseconds"]), "", note + _where(content)])


PEERS = {"PyTorch eager fp32, NHWC": "PyTorch NHWC", "PyTorch eager fp32, NCHW": "PyTorch NCHW"}
PEERS |= {"PyTorch compiled fp32, NHWC": "torch.compile", "PyTorch eager bf16, NHWC": "PyTorch bf16"}
PEERS |= {"ONNX Runtime fp32": "ONNX Runtime", "ONNX Runtime int8 QDQ": "ONNX Runtime int8"}
PEERS |= {"OpenVINO fp32": "OpenVINO", "OpenVINO bf16": "OpenVINO bf16", "OpenVINO int8 QDQ": "OpenVINO int8"}
PEERS |= {"ncnn fp32": "ncnn"}


def engines() -> dict[str, dict[str, Any]]:
    """What `benchmarks.cpu_engines` measured, by kind of processor."""
    files = sorted(RESULTS.glob("cpu-engines-*.json"))
    return {path.stem.removeprefix("cpu-engines-"): _read(path.name) for path in files}


def cpu_engines() -> str:
    """A table for each kind of processor."""
    return "\n\n".join(engines_table(kind, content) for kind, content in engines().items())


def engines_table(kind: str, content: dict[str, Any]) -> str:
    """A row per model and precision: milliseconds, how many times faster than each peer, the share of the peak."""
    results = content["results"]
    peers = {k: v for k, v in PEERS.items() if any(k in result["rows"] for result in results)}
    lines = [f"| 480x270, {kind} | fastsr, ms | of the peak | " + " | ".join(f"vs {p}" for p in peers.values()) + " |"]
    lines.append("|---|---|---|" + "---|" * len(peers))
    for result in results:
        for precision in ("fp32", "bf16", "int8"):
            ours = result["rows"].get(f"fastsr {precision}")
            if ours is None:
                continue
            times = [result["rows"].get(peer, {}).get("median_ms") for peer in peers]
            ratios = ["" if t is None else f"{t / ours['median_ms']:.1f}x" for t in times]
            name, _, remark = result["model"].partition(" ")
            name = f"`{name}`{remark and ' ' + remark}, {precision}"
            cells = [f"{ours['median_ms']:.0f}", f"{ours['share_of_peak']:.0%}", *ratios]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    left_out = sorted({f"{way} ({r['model']})" for r in results for way in r.get("excluded", {})})
    apart = f" Not timed, because its picture differs: {', '.join(left_out)}." if left_out else ""
    ended = sorted({f"{way} ({r['model']})" for r in results for way in r.get("ended", {})})
    apart += f" Ended before it had made a picture: {', '.join(ended)}." if ended else ""
    absent = f" Not installed: {', '.join(content['absent'])}." if content["absent"] else ""
    rounds = " or ".join(str(n) for n in sorted({result["rounds"] for result in results}, reverse=True))
    note = (
        f"Medians of {rounds} interleaved rounds, from pixels to pixels; the peak is the rate of multiplications and "
    )
    note += f"additions in registers at the same precision, which Winograd's fewer ones exceed.{absent}{apart} "
    return "\n".join([*lines, "", note + _where(content)])


def upscalers() -> str:
    """A row per way to enlarge a picture: how long it takes, what it scores."""
    content = _read("upscalers.json")
    absent = f"Left out: {'; '.join(content['absent'])}. " if content["absent"] else ""
    worse = f"; damaged: {content['damage']}" if "damage" in content else ""
    note = f"Enlarged four times on the CPU; input made small by antialiased bicubic{worse}. {absent}"
    return "\n".join([measured_upscalers.table(content), "", note + _where(content)])


def memory() -> str:
    """A row per model and way: MiB beyond input and output."""
    content = _read("memory.json")
    note = "MiB at the peak, beyond the input and the output, by size of the input. "
    return "\n".join([measured_memory.table(content["rows"]), "", note + _where(content)])


def startup() -> str:
    """A row per way: before the first picture, and what lies on the disk."""
    content = _read("startup.json")
    lines = ["| | import, ms | start to first picture, ms | installed, MB |", "|---|---|---|---|"]
    for way, row in content["rows"].items():
        lines.append(f"| {way} | {row['import_ms']} | {row['first_picture_ms']} | {row['installed_mb']:.0f} |")
    note = f"Medians of {content['rounds']} rounds, one 480x270 picture with `{content['model']}`. "
    return "\n".join([*lines, "", note + _where(content)])


def video() -> str:
    """Frames a second from file to file, of each way and of our stages alone."""
    content = _read("video.json")
    (result,) = content["results"]
    note = f"{result['frames']} frames, medians of {content['rounds']} rounds. "
    return "\n".join([measured_video.table(result), "", note + _where(content)])


def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((RESULTS / name).read_text())
    return content


def _where(content: dict[str, Any]) -> str:
    m = content["machine"]
    packages = ", ".join(f"{k} {v}" for k, v in m["packages"].items() if k in ("onnxruntime", "torch", "numpy"))
    return f"Machine: {m['processor']}, {m['threads']} threads, {m['isa']}; Python {m['python']}, {packages}."


TABLES = {
    "quality": quality,
    "cpu-engines": cpu_engines,
    "upscalers": upscalers,
    "memory": memory,
    "startup": startup,
    "video": video,
    "ops": ops,
}


def rendered(text: str) -> str:
    """`text` with every table made anew."""
    for name, make in TABLES.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not pattern.search(text):
            raise SystemExit(f"README.md has no place for the table {name!r}")
        block = make()
        text = pattern.sub(lambda m, block=block: f"{m[1]}{block}\n{m[2]}", text)  # type: ignore[misc]
    return text


def picture() -> None:
    """The demo's comparison, for README."""
    from PIL import Image

    import fastsr
    from benchmarks.demo import PHOTO, side_by_side

    with Image.open(PHOTO) as image:
        low = image.convert("RGB")
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    side_by_side(low, fastsr.upscale(low, scale=4), 0.35, 0.35).save(PICTURE, optimize=True)


def main() -> int:
    """Write README's tables and picture, or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit 1 when README differs from the results")
    check = parser.parse_args().check
    text = README.read_text()
    made = rendered(text)
    if check:
        if made != text:
            print("README.md differs from benchmarks/results; run: python -m benchmarks.report", file=sys.stderr)
        return int(made != text)
    README.write_text(made)
    picture()
    filters = _read("upscalers.json")
    plot.draw(_read("quality.json"), engines()[filters["machine"]["isa"]], filters, PLOT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
