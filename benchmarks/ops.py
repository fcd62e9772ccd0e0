"""Ratios of the kernels to NumPy, PyTorch and OpenCV, interleaved in one run: `python -m benchmarks.ops`.

Writes benchmarks/results/ops.json. Medians over rounds in which every implementation takes its turn.
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path

import numpy as np

from benchmarks import machine
from benchmarks.bench_ops import CASES, cv2, torch
from fastsr import _core

RESULTS = Path(__file__).parent / "results"
ROUNDS = 40


def measure() -> dict[str, dict[str, float]]:
    """Milliseconds (median) per case and implementation."""
    torch.set_num_threads(_core.thread_count())
    if cv2 is not None:
        cv2.setNumThreads(_core.thread_count())
    results = {}
    for case, makers in CASES.items():
        expected = makers["numpy"]().astype(np.float32)
        for name, make in makers.items():
            if np.abs(make().astype(np.float32) - expected).max() > 1e-6:
                raise SystemExit(f"{case}: {name} differs from NumPy; nothing was timed")
        times: dict[str, list[float]] = {name: [] for name in makers}
        for _ in range(ROUNDS):
            for name, make in makers.items():
                start = time.perf_counter()
                make()
                times[name].append((time.perf_counter() - start) * 1e3)
        results[case] = {name: round(statistics.median(values), 3) for name, values in times.items()}
    return results


PEERS = {"numpy": "NumPy", "torch": "PyTorch", "opencv": "OpenCV"}


def table(results: dict[str, dict[str, float]]) -> str:
    """Markdown: milliseconds, and how many times faster fastsr is than each peer that has the operation."""
    peers = {key: title for key, title in PEERS.items() if any(key in ms for ms in results.values())}
    lines = ["| 1080p frames | fastsr, ms | " + " | ".join(f"vs {title}" for title in peers.values()) + " |"]
    lines.append("|---|---|" + "---|" * len(peers))
    for case, ms in results.items():
        ratios = [f"{ms[peer] / ms['fastsr']:.1f}x" if peer in ms else "" for peer in peers]
        lines.append("| " + " | ".join([case, f"{ms['fastsr']:.2f}", *ratios]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    results = measure()
    print(table(results))
    RESULTS.mkdir(exist_ok=True)
    content = {"machine": machine.describe(), "rounds": ROUNDS, "milliseconds": results}
    (RESULTS / "ops.json").write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
