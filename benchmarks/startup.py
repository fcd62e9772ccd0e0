"""Startup time: `python -m benchmarks.startup`.

Each way enlarges one 480x270 image with fast-x4 in a process of its own, timed from outside: import alone, and import,
load and first call together. The peers are the least that a user could write, with weights ready for them to read.
Also the installed size of each way with all its dependencies, from the files that the packages list. Ways take turns.
Writes benchmarks/results/startup.json; `--dry` only prints.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from fastsr.network import catalog, onnx_reader

RESULTS = Path(__file__).parent / "results" / "startup.json"
MODEL = "fast-x4"
IMAGE = "np.zeros((270, 480, 3), np.uint8)"
FASTSR = f"fastsr.upscale({IMAGE}, model='{MODEL}', device='cpu', precision='fp32')"
ONNX_RUNTIME = f"""
made = onnxruntime.InferenceSession(sys.argv[1])
x = {IMAGE}.transpose(2, 0, 1)[None].astype(np.float32) / 255
y = made.run(None, {{made.get_inputs()[0].name: x}})[0][0]
y = np.rint(y.clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
"""
PYTORCH = f"""
weights = np.load(sys.argv[2])
with torch.inference_mode():
    x = torch.from_numpy({IMAGE}).permute(2, 0, 1)[None].float() / 255
    y = x.contiguous(memory_format=torch.channels_last)
    for i in range(len(weights) // 3):
        y = torch.nn.functional.conv2d(y, *(torch.from_numpy(weights[f"{{k}}{{i}}"]) for k in "wb"), padding=1)
        slopes = torch.from_numpy(weights[f"s{{i}}"])
        y = torch.nn.functional.prelu(y, slopes) if len(slopes) else y
    y = torch.nn.functional.pixel_shuffle(y, 4) + torch.nn.functional.interpolate(x, scale_factor=4.0)
    y = (y.clamp(0, 1) * 255).round().byte()[0].permute(1, 2, 0).numpy()
"""
# way -> (what it imports, what it does then, what has to be installed)
WAYS = {
    "fastsr": ("import numpy as np, fastsr", FASTSR, ("fastsr",)),
    "ONNX Runtime": ("import sys, numpy as np, onnxruntime", ONNX_RUNTIME, ("onnxruntime", "numpy")),
    "PyTorch": ("import sys, numpy as np, torch", PYTORCH, ("torch", "numpy")),
}


def seconds(code: str, *arguments: str) -> float:
    """How long a Python process takes for `code`, its own startup included."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def installed(roots: tuple[str, ...]) -> int:
    """Bytes of packages and of all that they require, here and now; extras are left out."""
    if "fastsr" in roots and not any(importlib.metadata.distributions(name="fastsr")):
        raise SystemExit("fastsr is not installed here, so what it requires is not known; run: pip install -e .")
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        try:
            required = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:  # for another platform or Python
            continue
        found.add(name)
        waiting += [re.match(r"[\w.-]+", text)[0] for text in required if "extra ==" not in text]  # type: ignore[index]
    total = 0
    for name in found:
        files = importlib.metadata.files(name) or []
        paths = {Path(str(file.locate())) for file in files}
        if name == "fastsr":  # an editable install lists only its pointer
            paths = {p for p in catalog.FOLDER.parent.rglob("*") if "__pycache__" not in p.parts}
        total += sum(path.stat().st_size for path in paths if path.is_file())
    return total


def chain(folder: Path) -> Path:
    """The model's kernels, biases and slopes for the PyTorch peer."""
    network, layers = onnx_reader.read(catalog.find(MODEL)), 0
    tensors: dict[str, Any] = {}
    for node in network.nodes:
        if node.op == "Conv":
            tensors |= {f"w{layers}": network.weights[node.inputs[1]], f"b{layers}": network.weights[node.inputs[2]]}
            tensors[f"s{layers}"] = np.empty(0, np.float32)
            layers += 1
        elif node.op == "PRelu":
            tensors[f"s{layers - 1}"] = network.weights[node.inputs[1]].ravel()
    np.savez(folder / "weights.npz", **tensors)
    return folder / "weights.npz"


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Medians in milliseconds and sizes in MB, by way."""
    imports: dict[str, list[float]] = {name: [] for name in WAYS}
    firsts: dict[str, list[float]] = {name: [] for name in WAYS}
    bare = []
    with tempfile.TemporaryDirectory() as folder:
        arguments = [str(catalog.find(MODEL)), str(chain(Path(folder)))]
        for _ in range(rounds):
            bare.append(seconds("pass"))
            for name, (imported, work, _) in WAYS.items():
                imports[name].append(seconds(imported, *arguments))
                firsts[name].append(seconds(f"{imported}\n{work}", *arguments))
    start = statistics.median(bare)
    return {
        name: {
            "import_ms": round((statistics.median(imports[name]) - start) * 1e3),
            "first_image_ms": round(statistics.median(firsts[name]) * 1e3),
            "installed_mb": round(installed(roots) / 1e6, 1),
        }
        for name, (_, _, roots) in WAYS.items()
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--dry", action="store_true", help="print, but write nothing")
    arguments = parser.parse_args()
    rows: dict[str, Any] = measure(arguments.rounds)
    for name, row in rows.items():
        print(f"{name}: {row}")
    if not arguments.dry:
        content = {"machine": machine.describe(), "rounds": arguments.rounds, "model": MODEL, "rows": rows}
        RESULTS.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
