"""The demo's photograph, as a messenger delivers it: `python -m benchmarks.snapshot PHOTOGRAPHS`.

A part of one of the photographs that were set aside (see `benchmarks.compare_pictures`), made small and saved three
times by the first of the chains of training/measure/damage.py.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from PIL import Image

from benchmarks.compare_pictures import PHOTOGRAPHS, found
from benchmarks.demo import SNAPSHOT
from training.measure.damage import CHAINS

WORD = "a dog at a window"
SIDE = 320  # pixels
QUALITY = 85  # JPEG


def main() -> None:
    """Write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    arguments = parser.parse_args()
    (wanted,) = (photograph for photograph in PHOTOGRAPHS if photograph.word == WORD)
    with Image.open(found(wanted, arguments.photographs)) as image:
        high = image.convert("RGB")
    CHAINS[0](high, (SIDE, SIDE), random.Random(1)).save(SNAPSHOT, quality=QUALITY)
    print(f"wrote {SNAPSHOT}")


if __name__ == "__main__":
    main()
