"""Peak memory beyond input and output: `python -m benchmarks.memory [--models fast-x4 ...]`.

Each case runs in a process of its own on one image of noise and reads the kernel's high-water mark: peak resident
memory, less what was resident before the call, less the result. The peers run the same weights on the whole image, as
they come, up to a size where that is reasonable. Writes benchmarks/results/memory.json; `--dry` only prints.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine

RESULTS = Path(__file__).parent / "results" / "memory.json"
MEGAPIXELS = (0.1, 1, 8, 32)
PEERS = ("PyTorch eager", "ONNX Runtime")
PEERS_UP_TO = 1  # megapixels
MIB = 1 << 20


def resident(key: str, process: int | str = "self") -> int:
    """VmRSS (resident now) or VmHWM (at most so far) of a process, in bytes."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"/proc/{process}/status does not tell the memory; this benchmark needs Linux")


def forget_peak(process: int | str = "self") -> None:
    """Reset VmHWM to VmRSS."""
    Path(f"/proc/{process}/clear_refs").write_text("5")


def child(model: str, way: str, megapixels: float) -> None:
    """One case, in its own process; prints the bytes beyond input and output."""
    from benchmarks import cpu_engines
    from fastsr.engines.native.engine import NativeEngine
    from fastsr.network import catalog, onnx_reader

    network = onnx_reader.read(catalog.find(model))
    if way == "PyTorch eager":
        run = cpu_engines.eager(network, last=True)
    elif way == "ONNX Runtime":
        run = cpu_engines.session(network.serialized, network.input)
    else:
        run = NativeEngine(network, way.split()[1], None).run
    height = round(math.sqrt(megapixels * 1e6 * 3 / 4))
    pixels = np.random.default_rng(0).integers(0, 256, (height, height * 4 // 3, 3), np.uint8)
    run(pixels[:64, :64].copy())  # threads, and what is allocated once
    before = resident("VmRSS")
    forget_peak()
    made = run(pixels)
    print(resident("VmHWM") - before - made.nbytes)


def measure(model: str, way: str, megapixels: float) -> int | None:
    """Bytes of one case; None when its process failed."""
    command = [sys.executable, "-m", "benchmarks.memory", "--child", model, way, str(megapixels)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return int(done.stdout) if done.returncode == 0 else None


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: a row per model and way, a column per size."""
    lines = ["| input size | " + " | ".join(f"{m:g} MP" for m in MEGAPIXELS) + " |", "|---|" + "---|" * len(MEGAPIXELS)]
    for key in dict.fromkeys((row["model"], row["way"]) for row in rows):
        mine = {row["megapixels"]: row["bytes"] for row in rows if (row["model"], row["way"]) == key}
        cells = ["" if m not in mine else "failed" if mine[m] is None else f"{mine[m] / MIB:.0f}" for m in MEGAPIXELS]
        lines.append(f"| `{key[0]}`, {key[1]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["fast-x4"])
    parser.add_argument("--child", nargs=3, metavar=("MODEL", "WAY", "MEGAPIXELS"), help=argparse.SUPPRESS)
    parser.add_argument("--dry", action="store_true", help="print, but write nothing")
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child[0], arguments.child[1], float(arguments.child[2]))
        return
    rows = []
    for model in arguments.models:
        for way in ("fastsr fp32", "fastsr int8", *PEERS):
            for megapixels in MEGAPIXELS:
                if way in PEERS and megapixels > PEERS_UP_TO:
                    continue
                rows.append(
                    {"model": model, "way": way, "megapixels": megapixels, "bytes": measure(model, way, megapixels)}
                )
    print(table(rows))
    if not arguments.dry:
        RESULTS.write_text(json.dumps({"machine": machine.describe(), "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
