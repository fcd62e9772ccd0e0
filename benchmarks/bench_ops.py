"""pytest-benchmark suite of the kernels beside NumPy, PyTorch and OpenCV: `pytest benchmarks/bench_ops.py`.

OpenCV takes part where it is installed and has the operation. Each group does one thing on one frame, by fastsr and by
its peers; outputs are compared before anything is timed.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fastsr import ops

torch = pytest.importorskip("torch")
cv2: Any = importlib.import_module("cv2") if importlib.util.find_spec("cv2") else None

Array = npt.NDArray[Any]
HEIGHT, WIDTH, SCALE = 270, 480, 4
TILE, HALO = 192, 12

random = np.random.default_rng(0)
FRAME = random.integers(0, 256, (HEIGHT * SCALE, WIDTH * SCALE, 3), dtype=np.uint8)
LOW = random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
DEEP = random.random((1, 3 * SCALE**2, HEIGHT, WIDTH), dtype=np.float32)
DEEP_LAST = np.ascontiguousarray(DEEP.transpose(0, 2, 3, 1))
TOPS = range(-HALO, FRAME.shape[0], TILE - 2 * HALO)
LEFTS = range(-HALO, FRAME.shape[1], TILE - 2 * HALO)
ORIGINS = np.array([(top, left) for top in TOPS for left in LEFTS])
WINDOW = np.array([(0, 0, 0, 0, HEIGHT, WIDTH)])


def shuffle_numpy() -> Array:
    parts = DEEP.reshape(1, 3, SCALE, SCALE, HEIGHT, WIDTH).transpose(0, 1, 4, 2, 5, 3)
    return np.ascontiguousarray(parts).reshape(1, 3, HEIGHT * SCALE, WIDTH * SCALE)


def shuffle_torch() -> Array:
    out: Array = torch.nn.functional.pixel_shuffle(torch.from_numpy(DEEP), SCALE).numpy()
    return out


def shuffle_last_numpy() -> Array:
    parts = DEEP_LAST.reshape(1, HEIGHT, WIDTH, 3, SCALE, SCALE).transpose(0, 1, 4, 2, 5, 3)
    return np.ascontiguousarray(parts).reshape(1, HEIGHT * SCALE, WIDTH * SCALE, 3)


def shuffle_last_torch() -> Array:
    x = torch.from_numpy(DEEP_LAST).permute(0, 3, 1, 2)
    out: Array = torch.nn.functional.pixel_shuffle(x, SCALE).permute(0, 2, 3, 1).contiguous().numpy()
    return out


def gather_numpy() -> Array:
    bottom = max(0, TOPS[-1] + TILE - FRAME.shape[0])
    right = max(0, LEFTS[-1] + TILE - FRAME.shape[1])
    padded = np.pad(FRAME, ((HALO, bottom), (HALO, right), (0, 0)), mode="reflect")
    tiles = [padded[t + HALO : t + HALO + TILE, x + HALO : x + HALO + TILE] for t, x in ORIGINS]
    out: Array = np.stack(tiles).transpose(0, 3, 1, 2).astype(np.float32, order="C") / np.float32(255)
    return out


def gather_torch() -> Array:
    bottom = max(0, TOPS[-1] + TILE - FRAME.shape[0])
    right = max(0, LEFTS[-1] + TILE - FRAME.shape[1])
    x = torch.from_numpy(FRAME).permute(2, 0, 1)[None].float().div(255)
    padded = torch.nn.functional.pad(x, (HALO, right, HALO, bottom), mode="reflect")[0]
    tiles = [padded[:, t + HALO : t + HALO + TILE, c + HALO : c + HALO + TILE] for t, c in ORIGINS.tolist()]
    out: Array = torch.stack(tiles).numpy()
    return out


def gather_opencv() -> Array:
    bottom = max(0, TOPS[-1] + TILE - FRAME.shape[0])
    right = max(0, LEFTS[-1] + TILE - FRAME.shape[1])
    padded = cv2.copyMakeBorder(FRAME, HALO, bottom, HALO, right, cv2.BORDER_REFLECT_101)
    tiles = [padded[t + HALO : t + HALO + TILE, c + HALO : c + HALO + TILE] for t, c in ORIGINS.tolist()]
    out: Array = cv2.dnn.blobFromImages(tiles, 1 / 255)
    return out


def scatter_fastsr() -> Array:
    out = np.empty_like(FRAME)
    ops.tile_scatter(DEEP, WINDOW, out, SCALE)
    return out


def scatter_numpy() -> Array:
    scaled = np.clip(shuffle_numpy()[0] * np.float32(255), 0, 255)
    out: Array = np.rint(scaled).astype(np.uint8).transpose(1, 2, 0).copy()
    return out


def scatter_torch() -> Array:
    shuffled = torch.nn.functional.pixel_shuffle(torch.from_numpy(DEEP), SCALE)[0]
    out: Array = shuffled.mul(255).clamp_(0, 255).round_().byte().permute(1, 2, 0).contiguous().numpy()
    return out


def scatter_opencv() -> Array:
    out: Array = cv2.convertScaleAbs(shuffle_numpy()[0].transpose(1, 2, 0), alpha=255)
    return out


CASES: dict[str, dict[str, Callable[[], Array]]] = {
    "pixel_shuffle NCHW x4 float32": {
        "fastsr": lambda: ops.pixel_shuffle(DEEP, SCALE),
        "numpy": shuffle_numpy,
        "torch": shuffle_torch,
    },
    "pixel_shuffle NHWC x4 float32": {
        "fastsr": lambda: ops.pixel_shuffle(DEEP_LAST, SCALE, "NHWC"),
        "numpy": shuffle_last_numpy,
        "torch": shuffle_last_torch,
    },
    "tile_gather uint8 1080p": {
        "fastsr": lambda: ops.tile_gather(FRAME, ORIGINS, (TILE, TILE)),
        "numpy": gather_numpy,
        "torch": gather_torch,
    },
    "tile_scatter uint8 1080p": {"fastsr": scatter_fastsr, "numpy": scatter_numpy, "torch": scatter_torch},
}
if cv2 is not None:
    CASES["tile_gather uint8 1080p"]["opencv"] = gather_opencv
    CASES["tile_scatter uint8 1080p"]["opencv"] = scatter_opencv


@pytest.mark.parametrize(("case", "who"), [(case, who) for case, makers in CASES.items() for who in makers])
def test_ops(benchmark: Any, case: str, who: str) -> None:
    """Time one implementation, after its output was found equal to NumPy's."""
    make = CASES[case][who]
    difference = np.abs(make().astype(np.float32) - CASES[case]["numpy"]().astype(np.float32)).max()
    assert difference <= 1e-6
    benchmark.group = case
    benchmark(make)
