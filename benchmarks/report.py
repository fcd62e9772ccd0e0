"""The tables and images of README.md and docs/benchmarks.md: `python -m benchmarks.report` (`--check` only compares).

A table stands between `<!-- name -->` and `<!-- /name -->` and is made from benchmarks/results/*.json alone, but for
that of flicker, which the models' cards tell. PAGES says which page has which tables.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import families as measured_families
from benchmarks import imports as measured_imports
from benchmarks import machine, models_table, plot
from benchmarks import memory as measured_memory
from benchmarks import ops as measured_ops
from benchmarks import overlap as measured_overlap
from benchmarks import photos as measured_photos
from benchmarks import serve as measured_page
from benchmarks import threads as counted_threads
from benchmarks import upscalers as measured_upscalers
from benchmarks import video as measured_video
from fastsr.network import catalog
from training.measure import flicker as measured_flicker

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
README = ROOT / "README.md"
BENCHMARKS = ROOT / "docs" / "benchmarks.md"
MODELS = ROOT / "docs" / "models.md"
ENGINE = ROOT / "docs" / "cpu-engine.md"
COMPARISON = ROOT / "docs" / "assets" / "side-by-side.png"
PLOT = ROOT / "docs" / "assets" / "quality-speed.png"

SIZE = "480x270"  # of the image that every speed is measured on
MEASURES = {"psnr": ("PSNR", 2), "ssim": ("SSIM", 4), "lpips": ("LPIPS", 3)}

# The others in README's table, and the ways to run them of which the fastest counts.
RIVALS = {
    "PyTorch eager": ("PyTorch eager fp32, NHWC", "PyTorch eager fp32, NCHW"),
    "ONNX Runtime": ("ONNX Runtime fp32",),
    "OpenVINO": ("OpenVINO fp32",),
}
NOT_MEASURED = "Not measured yet."
ISAS = ("portable", "avx2", "avxvnni", "wide", "avx512", "avx512bf16")  # the best last
# Models that differ from a timed one in their weights alone take the same time.
DAMAGE = "hard"  # of training/measure/damage.py: that of `benchmarks.upscalers`
SAME_NETWORK = {"faces-x4": "fast-x4", "srresnet-x4": "srgan-x4"}


def models() -> str:
    """README's table: a row per shipped model with its time, the time of others, and its quality, all in fp32."""
    content, enlarged = engines()[shown_kind()], _read("upscalers.json")
    timed = {result["model"]: result["rows"] for result in content["results"]}
    rows = [r for r in _read("quality.json")["rows"] if (r["set"], r["precision"]) == (plot.SET, "fp32")]
    made = []
    for row in rows:
        ways = timed.get(SAME_NETWORK.get(row["model"], row["model"]), {})
        ours = ways["fastsr fp32"]["median_ms"] if ways else 0.0
        cells = [_titled(row["model"], row["scale"]), f"{ours:.0f}" if ours else ""]
        for names in RIVALS.values():
            theirs = [ways[name]["median_ms"] for name in names if name in ways]
            cells.append(f"{min(theirs) / ours:.1f}x" if theirs else "")
        cells += [f"{row['psnr']:.2f}", f"{row['lpips']:.3f}"]
        worse = _damaged(row["model"], enlarged)
        cells.append("" if worse is None else f"{worse:.3f}")
        made.append((-row["scale"], ours, "| " + " | ".join(cells) + " |"))
    lines = [
        f"| model | {SIZE} image, ms | vs {' | vs '.join(RIVALS)} | PSNR, dB | LPIPS | LPIPS, damaged input |",
        "|---|---|" + "---|" * len(RIVALS) + "---|---|---|",
        *(line for _, _, line in sorted(made, key=lambda row: row[:2])),
    ]
    note = (
        f"All in fp32. 2.0x: the other one takes twice as long as fastsr; PyTorch runs in its faster memory layout. "
        f"PSNR (higher is better) and LPIPS (lower is better, and closer to what people see) are on {plot.SET}; "
        f"damaged input is {enlarged['damaged_set']} with blur, noise and JPEG artifacts. "
    )
    return "\n".join([*lines, "", note + _where(content)])


def _damaged(model: str, enlarged: dict[str, Any]) -> float | None:
    """LPIPS of damaged input, by the model's card, else as it was measured beside other upscalers."""
    card = catalog.models().get(model)
    scores = card.damaged.get(DAMAGE, {}) if card else {}
    if enlarged["damaged_set"] in scores:
        return float(scores[enlarged["damaged_set"]]["lpips"])
    measured = enlarged["rows"].get(f"fastsr {model}")
    return float(measured["damaged"]["lpips"]) if measured else None


def shown_kind() -> str:
    """The kind of processor that README's table and plot show: the one on which other upscalers were measured too."""
    described = _read("upscalers.json")["machine"]
    return machine.kind_of(described["isa"], described["processor"])


def _titled(model: str, scale: int) -> str:
    return f"`{model}` x{scale}" if model == "bicubic" else f"`{model}`"


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
        name = _titled(model, scale) + ("" if precision == "fp32" else f", {precision}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    note = "Measured through `fastsr.upscale`, in fp32 unless a row says otherwise; PSNR and SSIM on the luma. "
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
    """A section for each kind of processor."""
    return "\n\n".join(engines_table(content) for content in engines().values())


def engines_table(content: dict[str, Any]) -> str:
    """A row per model and precision: milliseconds, the share of the peak rate, how many times faster than each peer."""
    results = content["results"]
    peers = {k: v for k, v in PEERS.items() if any(k in result["rows"] for result in results)}
    lines = [f"### {content['machine']['isa']}: {content['machine']['processor']}", ""]
    lines.append(f"| {SIZE} | fastsr, ms | of peak rate | " + " | ".join(f"vs {p}" for p in peers.values()) + " |")
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
    apart = f" Not timed, because its output differs: {', '.join(left_out)}." if left_out else ""
    crashed = sorted({f"{way} ({r['model']})" for r in results for way in r.get("ended", {})})
    apart += f" Crashed: {', '.join(crashed)}." if crashed else ""
    absent = f" Not installed: {', '.join(content['absent'])}." if content["absent"] else ""
    rounds = sorted(result["rounds"] for result in results)
    spread = f"{rounds[0]}" if rounds[0] == rounds[-1] else f"{rounds[0]} to {rounds[-1]}"
    note = f"Medians of {spread} interleaved rounds, from pixels to pixels.{absent}{apart} "
    return "\n".join([*lines, "", note + _where(content)])


def upscalers() -> str:
    """A row per way to enlarge an image: how long it takes, what it scores."""
    content = _read("upscalers.json")
    absent = f"Left out: {'; '.join(content['absent'])}. " if content["absent"] else ""
    worse = f"Damaged input is made worse by `{content['damage']}`. " if "damage" in content else ""
    note = f"Enlarged four times on the CPU. The input was made small by antialiased bicubic. {worse}{absent}"
    return "\n".join([measured_upscalers.table(content), "", note + _where(content)])


def overlap() -> str:
    """A row per overlap: what windows with a small border change."""
    content = _read("overlap.json")
    note = (
        f"`{content['model']}` on a photograph of {content['size']} pixels in tiles of {content['tile']}, compared "
        "with the same image enlarged whole. "
    )
    return "\n".join([measured_overlap.table(content), "", note + _where(content)])


def threads() -> str:
    """A row per model and size: the efficiency of more threads, by counting."""
    content = _read("threads.json")
    note = f"Counted for {content['isa']} by `python -m benchmarks.threads`, commit {content['machine']['commit']}."
    return "\n".join([counted_threads.table(content), "", note])


def memory() -> str:
    """A row per model and way: peak memory beyond input and output."""
    content = _read("memory.json")
    note = "Peak memory beyond input and output, in MiB, by size of the input. "
    return "\n".join([measured_memory.table(content["rows"]), "", note + _where(content)])


def photos() -> str:
    """A row per way from JPEG to PNG files: seconds, and those of each stage."""
    if not measured_photos.RESULTS.exists():
        return NOT_MEASURED
    content = _read("photos.json")
    note = (
        f"{content['photographs']} photographs, {content['megapixels']} megapixels in all, with `{content['model']}`; "
        f"medians of {content['rounds']} rounds. Stages of `fastsr upscale` overlap. "
    )
    return "\n".join([measured_photos.table(content), "", note + _where(content)])


def startup() -> str:
    """A row per way: time to import, time to the first image, and size on disk."""
    content = _read("startup.json")
    lines = ["| | import, ms | start to first image, ms | installed, MB |", "|---|---|---|---|"]
    for way, row in content["rows"].items():
        lines.append(f"| {way} | {row['import_ms']} | {row['first_image_ms']} | {row['installed_mb']:.0f} |")
    note = f"Medians of {content['rounds']} rounds, one {SIZE} image with `{content['model']}`. "
    return "\n".join([*lines, "", note + _where(content)])


def page() -> str:
    """A row per thing that visitors of `fastsr serve` wait for, and the crowd."""
    if not measured_page.RESULTS.exists():
        return NOT_MEASURED
    content = _read("serve.json")
    many = content["crowd"]
    note = (
        f"Medians of {content['rounds']} visitors; what is stopped is a run of `{content['stopped_model']}`. "
        f"Programs ask for {many['size']} by `{many['model']}`, of photos of the same size. "
    )
    return "\n".join([measured_page.table(content), "", note + _where(content)])


def video() -> str:
    """Frames per second from file to file, of each way and of our stages alone; a table for each clip and model."""
    content = _read("video.json")
    tables = [measured_video.table(result) for result in content["results"]]
    absent = sorted({text for result in content["results"] for text in result.get("absent", [])})
    apart = f"Left out: {'; '.join(absent)}. " if absent else ""
    return "\n\n".join([*tables, f"Medians of {content['rounds']} rounds. {apart}{_where(content)}"])


def flicker() -> str:
    """A row per shipped model whose card tells how it flickers."""
    cards = {f"`{name}`": card.flicker for name, card in catalog.models().items() if card.flicker}
    return measured_flicker.table(cards) if cards else NOT_MEASURED


def known_models() -> str:
    """What `benchmarks.models` measured, by kind of processor."""
    sections = [f"{models_table.sections(content)}\n\n{_where(content)}" for content in _known()]
    return "\n\n".join(sections) or NOT_MEASURED


def real_esrgan() -> str:
    """README's first table: Real-ESRGAN's x4plus by fastsr and by others."""
    measured = _known()
    if not measured:
        return NOT_MEASURED
    content = max(measured, key=lambda content: ISAS.index(content["machine"]["isa"]))
    return f"{models_table.headline(content)} {_where(content)}"


def megapixel() -> str:
    """photo-x4 beside x4plus by several runtimes."""
    measured = _known()
    if not measured:
        return NOT_MEASURED
    content = max(measured, key=lambda content: ISAS.index(content["machine"]["isa"]))
    return f"{models_table.megapixel(content)} {_where(content)}"


def families() -> str:
    """A row per family of networks: engine, difference from PyTorch, arithmetic, reach."""
    content = _read("families.json")
    versions = ", ".join(f"{k} {content['machine']['packages'][k]}" for k in ("torch", "spandrel", "onnxruntime"))
    note = (
        "Random weights, in the sizes that models are shared in, on one image of 32x24 pixels in 0..1, in fp32. MFLOP "
        "of convolutions, for a pixel of the input; empty where attention multiplies matrices too. "
    )
    return "\n".join([measured_families.table(content["rows"]), "", f"{note}{versions}."])


def imports() -> str:
    """A row per package that carries models: how long their import takes."""
    content = _read("imports.json")
    return "\n".join([measured_imports.table(content["rows"]), "", _where(content)])


def _known() -> list[dict[str, Any]]:
    return [_read(file.name) for file in sorted(RESULTS.glob("models-*.json"))]


def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((RESULTS / name).read_text())
    return content


def _where(content: dict[str, Any]) -> str:
    m = content["machine"]
    packages = ", ".join(f"{k} {v}" for k, v in m["packages"].items() if k in ("onnxruntime", "torch", "numpy"))
    threads = f"{m['threads']} thread{'' if m['threads'] == 1 else 's'}"
    return f"Machine: {m['processor']}, {threads}, {m['isa']}; Python {m['python']}, {packages}; commit {m['commit']}."


PAGES: dict[Path, dict[str, Callable[[], str]]] = {
    README: {"real-esrgan": real_esrgan, "models": models},
    MODELS: {"families": families, "imports": imports, "overlap": overlap},
    ENGINE: {"threads": threads},
    BENCHMARKS: {
        "quality": quality,
        "cpu-engines": cpu_engines,
        "known-models": known_models,
        "megapixel": megapixel,
        "memory": memory,
        "photos": photos,
        "startup": startup,
        "page": page,
        "video": video,
        "flicker": flicker,
        "ops": ops,
        "upscalers": upscalers,
    },
}
MARK = re.compile(r"<!-- (/?[\w-]+) -->")


def rendered(page: Path) -> str:
    """The text of `page` with every table regenerated. Raises SystemExit where marks are missing or unknown."""
    text, tables = page.read_text(), PAGES[page]
    found, wanted = MARK.findall(text), [mark for name in tables for mark in (name, f"/{name}")]
    if sorted(found) != sorted(wanted):
        wrong = ", ".join(f"<!-- {mark} -->" for mark in sorted({*found} ^ {*wanted})) or "one of them twice"
        raise SystemExit(f"{page.name} needs each mark of its tables once and no other; look at {wrong}")
    for name, make in tables.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        block = make()
        text = pattern.sub(lambda m, block=block: f"{m[1]}{block}\n{m[2]}", text)  # type: ignore[misc]
    return text


def comparison() -> None:
    """A part of the demo's photograph by all ways, for README, at the size at which README shows it."""
    from PIL import Image

    from benchmarks import demo
    from fastsr.importing import packages

    if not packages.installed("realesrgan"):
        print(f"{COMPARISON.relative_to(ROOT)} stays: {packages.remedy('realesrgan')}")
        return
    with Image.open(demo.SNAPSHOT) as image:
        low = image.convert("RGB")
    made = demo.panels(demo.by_all_ways(low, *demo.SHOWN, panel=416), 0, 0, columns=2)
    COMPARISON.parent.mkdir(parents=True, exist_ok=True)
    made.save(COMPARISON, optimize=True)


def main() -> int:
    """Write the tables and the images, or compare the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit 1 when a page differs from the results")
    check = parser.parse_args().check
    made = {page: rendered(page) for page in PAGES}
    if check:
        stale = [page.relative_to(ROOT) for page, text in made.items() if text != page.read_text()]
        for page in stale:
            print(f"{page} differs from benchmarks/results; run: python -m benchmarks.report", file=sys.stderr)
        return int(bool(stale))
    for page, text in made.items():
        page.write_text(text)
    comparison()
    plot.draw(_read("quality.json"), engines()[shown_kind()], _read("upscalers.json"), PLOT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
