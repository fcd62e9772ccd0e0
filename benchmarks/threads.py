"""What more threads would gain, by counting: `python -m benchmarks.threads`.

The native engine plans each model and size for 2 to 32 threads without running it. Counted are multiplications: those
that are done twice because the image is cut, and those of the thread that others wait for. Waiting for memory, and for
threads to wake up, is not in it. Writes benchmarks/results/threads.json; `--dry` only prints.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks import machine
from fastsr import _core
from fastsr.engines.native.engine import packed
from fastsr.engines.native.lowering import lower
from fastsr.importing import lookup
from fastsr.network import onnx_reader

RESULTS = Path(__file__).parent / "results" / "threads.json"
THREADS = (2, 4, 8, 16, 32)
CASES = {
    "fast-x4": ((480, 270), (1920, 1080)),
    "fast-x2": ((480, 270),),
    "srgan-x4": ((128, 128), (480, 270)),
    "realesr-animevideov3-x4": ((480, 270),),
    "realesrgan-x4plus": ((128, 128), (256, 256), (480, 270)),
}


def counted(model: str, precision: str = "fp32") -> list[dict[str, Any]]:
    """A row per size: of each number of threads the units of the cut, the work in all, and the efficiency."""
    program = packed(lower(onnx_reader.read(lookup.find(model)), precision), precision)
    rows = []
    for width, height in CASES[model]:
        row: dict[str, Any] = {"model": model, "size": f"{width}x{height}", "threads": {}}
        for threads in THREADS:
            cut = program.cut(height, width, threads=threads)
            row["threads"][str(threads)] = {
                "units": f"{cut.across}x{cut.down}",
                "at_once": cut.at_once,
                "megabytes": round(cut.memory / 2**20, 1),
                "work": round(cut.work, 3),
                "efficiency": round(cut.efficiency, 3),
            }
        print(row, flush=True)
        rows.append(row)
    return rows


def table(content: dict[str, Any]) -> str:
    """Markdown: a row per model and size, a column per number of threads."""
    lines = [
        "| model | input | " + " | ".join(f"{n} threads" for n in THREADS) + " |",
        "|---|---|" + "---|" * len(THREADS),
    ]
    for row in content["rows"]:
        cells = [
            f"{cell['efficiency']:.0%}" + (f" ({cell['work'] - 1:.0%} twice)" if cell["work"] >= 1.005 else "")
            for cell in (row["threads"][str(n)] for n in THREADS)
        ]
        lines.append(f"| `{row['model']}` | {row['size']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Count, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry", action="store_true", help="print, but write nothing")
    arguments = parser.parse_args()
    content = {
        "machine": machine.describe(),
        "isa": _core.active_isa(),
        "rows": [row for model in CASES for row in counted(model)],
    }
    print(table(content))
    if not arguments.dry:
        RESULTS.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
