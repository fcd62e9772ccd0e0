"""Image files for the command line's tests, readable and damaged, written where a test says."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_image(path, width=8, height=6, seed=0, **options):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def size(path):
    with Image.open(path) as image:
        image.load()
        return image.size


def damaged(kind):
    """A file that is no readable image."""
    path = Path(f"bad.{'jpg' if kind == 'truncated jpg' else 'png'}")
    if kind.startswith("truncated"):
        write_image(path, 64, 64)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.write_bytes(b"" if kind == "empty" else b"this is text\n" * 20)
    return path
