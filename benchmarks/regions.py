"""What a part of a result costs: `FASTSR_NUM_THREADS=1 python -m benchmarks.regions [--model fast-x4]`.

A region of 256x256 pixels of what a 12-megapixel image is enlarged to, at the model's scale, at three times, and of
gray and transparent images; beside it an image that is enlarged to as many pixels, and one of what the region depends
on. Processor time, the least of several rounds in turn, since it hardly depends on what else runs. First the region of
a smaller image is compared with the crop of its whole, byte for byte.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

import fastsr
from fastsr import images
from fastsr.engines.native.engine import NativeEngine
from fastsr.output_size import Region
from fastsr.tiling.frame_part import FramePart
from fastsr.upscaler import Upscaler

WIDTH, HEIGHT, SIDE = 4000, 3000, 256
ROUNDS = 9

Pixels = npt.NDArray[Any]


def least(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Milliseconds of the processor that each way takes, the least of some rounds in turn."""
    found = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, way in ways.items():
            begun = time.process_time()
            way()
            found[name] = min(found[name], 1000 * (time.process_time() - begun))
    return found


def middle(scale: float) -> Region:
    """The region in the middle of the result."""
    left, top = round(WIDTH * scale) // 2, round(HEIGHT * scale) // 2
    return left, top, left + SIDE, top + SIDE


def check(up: Upscaler, pixels: Pixels) -> None:
    """That a region has the bytes of the whole."""
    for scale in (up.scale, 3):
        whole = up.upscale(pixels, scale)
        made = up.upscale(pixels, scale, region=(100, 50, 300, 290))
        if not np.array_equal(made, whole[50:290, 100:300]):
            raise SystemExit(f"{up!r} at {scale} times: the region differs from the whole")


def depended_on(up: Upscaler) -> tuple[int, int]:
    """Height and width of the pixels that the region is made from."""
    assert up._generator is not None
    engine = up._generator.engine
    assert isinstance(engine, NativeEngine)
    left, top, right, bottom = middle(up.scale)
    read: list[tuple[int, int]] = []

    def seen(pixels: Pixels) -> Pixels:
        read.append((pixels.shape[0], pixels.shape[1]))
        return np.ascontiguousarray(pixels)

    frame = np.zeros((HEIGHT, WIDTH, engine.channels), np.uint8)
    part = FramePart(top, bottom, left, right).divided(round(up.scale))
    list(engine.part_bands(frame, part, seen, frame.dtype))
    return read[0]


def main() -> None:
    """Check, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="fast-x4")
    parser.add_argument("--precision", default="fp32")
    arguments = parser.parse_args()
    up = fastsr.load(arguments.model, device="cpu", engine="cpu", precision=arguments.precision)
    random = np.random.default_rng(0)
    photo = random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    check(up, photo[:211, :307])
    scale = up.scale
    side = -(-SIDE // round(scale))
    height, width = depended_on(up)
    floats = photo / np.float32(255)
    clear = images.read(np.dstack([photo, photo[..., :1]]))
    ways: dict[str, Callable[[], object]] = {
        f"{SIDE}x{SIDE} of {WIDTH}x{HEIGHT}": lambda: up.upscale(photo, region=middle(scale)),
        f"{side}x{side} alone": lambda: up.upscale(photo[:side, :side]),
        f"{width}x{height}, which it depends on": lambda: up.upscale(photo[:height, :width]),
        "the region at 3 times": lambda: up.upscale(photo, 3, region=middle(3)),
        "the region of floats": lambda: up.upscale(floats, region=middle(scale)),
        "the region in gray": lambda: up.upscale(photo[..., 0], region=middle(scale)),
        "the region with alpha, of an image that was read": lambda: up.enlarge(clear, region=middle(scale)),
    }
    print(f"{up!r}, milliseconds of the processor:")
    for name, milliseconds in least(ways).items():
        print(f"  {milliseconds:8.2f}  {name}")


if __name__ == "__main__":
    main()
