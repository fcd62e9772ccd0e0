"""How many characters of small licence plates are read right once they are enlarged: PP-OCRv4 reads drawn ones.

The reader is the recognition network of PaddleOCR's PP-OCRv4 (Apache-2.0), as the package rapidocr-onnxruntime carries
it; it runs in ONNX Runtime, and nothing else of the package is used. It is shown the registration alone, cut out of the
enlarged image where it was drawn. Plates of two rows are left out, for it reads lines.
"""

from __future__ import annotations

import importlib.util
import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

import fastsr
from fastsr.engines.protocol import Device, EngineName, Precision
from training.data import plate_fonts, plate_scenes
from training.data.image_folders import DataError
from training.data.plate_layouts import LAYOUTS
from training.measure.damage import Damage
from training.measure.evaluate import low_resolution

SCALE = 4
WIDTHS = (32, 40, 56)  # of the plates, pixels of the input
COUNT = 120  # plates of each width
NIGHT = 0.1  # share of them
POSE = plate_scenes.Pose(yaw=25, pitch=12, roll=4)
# The damage of each, by chance between these (see Damage); bicubic interpolation is then read about as badly as on real
# plates of 40 pixels, where it leaves 18% of the characters wrong.
BLUR, NOISE, JPEG = (0.0, 0.4), (0.0, 3.5), (77, 97)
MARGIN = 0.25  # around a registration, in its heights
ORIGINALS = "originals"  # the row of the table that says what the reader can do

_PACKAGE, _MODEL = "rapidocr_onnxruntime", "models/ch_PP-OCRv4_rec_infer.onnx"
_HEIGHT, _WIDTH = 48, 320  # of the reader's input; wider where the image is
_ALIKE = str.maketrans("OQI", "001")  # the same shape on many plates, where only their place tells them apart

Pixels = npt.NDArray[np.uint8]
Errors = dict[str, dict[str, float]]  # model -> width -> share of characters read wrong


class Drawn(NamedTuple):
    """A plate that is to be read."""

    text: str
    original: Image.Image
    given: Image.Image  # small and damaged
    box: tuple[int, int, int, int]  # of the registration in the original; left, top, right, bottom


class Reading(Protocol):
    """What reads a line of text."""

    def read(self, image: Image.Image) -> str:
        """The text in an RGB image."""
        ...


class Reader:
    """PP-OCRv4's recognition."""

    def __init__(self) -> None:
        """Load the network. Raises DataError, which says how to install it, where it is missing."""
        import onnxruntime

        spec = importlib.util.find_spec(_PACKAGE)
        folders = [] if spec is None else list(spec.submodule_search_locations or [])
        found = next((path for folder in folders if (path := Path(folder) / _MODEL).is_file()), None)
        if found is None:
            raise DataError(
                'the reader PP-OCRv4 is missing: pip install -e ".[plates]"; on Python 3.13, for which its package is '
                "not made: pip install --no-deps --ignore-requires-python rapidocr-onnxruntime"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(found), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        listed = self._session.get_modelmeta().custom_metadata_map["character"].splitlines()
        self._characters = ["", *listed, " "]  # the first stands for "none"

    def read(self, image: Image.Image) -> str:
        """The text in an RGB image that shows one line."""
        width = math.ceil(_HEIGHT * image.width / image.height)
        resized = image.resize((width, _HEIGHT), Image.Resampling.BILINEAR)
        pixels = np.zeros((1, 3, _HEIGHT, max(_WIDTH, width)), np.float32)
        pixels[0, :, :, :width] = np.asarray(resized, np.float32)[..., ::-1].transpose(2, 0, 1) / 127.5 - 1  # BGR
        best = self._session.run(None, {self._input: pixels})[0][0].argmax(1)
        kept = best[np.append(True, best[1:] != best[:-1])]  # what is said twice in a row is one character
        return "".join(self._characters[i] for i in kept)


def held_out(width: int, count: int, seed: int, fonts: Sequence[str] = tuple(plate_fonts.FONTS)) -> list[Drawn]:
    """`count` drawn plates, `width` pixels wide in the input; no training draws the same."""
    plate_fonts.check(tuple(fonts))
    layouts = [layout for layout in LAYOUTS if not any("|" in pattern for pattern in layout.patterns)]
    made = []
    for index in range(count):
        draws = random.Random(f"{seed}/held out/{width}/{index}")
        layout = layouts[index % len(layouts)]
        size = SCALE * (width + 16), SCALE * round(width * layout.size[1] / layout.size[0] + 20)
        night = draws.random() < NIGHT
        seen = plate_scenes.view(size, SCALE * width, layout, draws.choice(fonts), draws, night, pose=POSE)
        original = Image.fromarray(seen.image)
        text, (left, top, right, bottom) = seen.rows[0]
        edge = MARGIN * (bottom - top)
        box = (
            max(0, math.floor(left - edge)),
            max(0, math.floor(top - edge)),
            min(size[0], math.ceil(right + edge)),
            min(size[1], math.ceil(bottom + edge)),
        )
        damage = Damage(draws.uniform(*BLUR), draws.uniform(*NOISE), draws.randint(*JPEG))
        given = damage.apply(low_resolution(original, SCALE), draws.getrandbits(32))
        made.append(Drawn(text, original, given, box))
    return made


def distance(read: str, written: str) -> int:
    """Levenshtein distance: characters to change, add or take away."""
    row = list(range(len(written) + 1))
    for i, character in enumerate(read, start=1):
        above, row[0] = row[0], i
        for k, wanted in enumerate(written, start=1):
            above, row[k] = row[k], min(row[k] + 1, row[k - 1] + 1, above + (character != wanted))
    return row[-1]


def plain(text: str) -> str:
    """Letters and digits alone, those that look alike as one."""
    return "".join(c for c in text.upper() if c.isalnum()).translate(_ALIKE)


def error_rate(reader: Reading, images: Sequence[Image.Image], plates: Sequence[Drawn]) -> float:
    """Characters read wrong, missed or added in enlarged plates, over all that are written on them."""
    wrong = written = 0
    for image, plate in zip(images, plates, strict=True):
        wanted = plain(plate.text)
        wrong += min(len(wanted), distance(plain(reader.read(image.crop(plate.box))), wanted))
        written += len(wanted)
    return wrong / written


def measure(
    models: Sequence[str],
    widths: Sequence[int] = WIDTHS,
    count: int = COUNT,
    seed: int = 0,
    engine: EngineName = "auto",
    precision: Precision = "auto",
    device: Device = "auto",
    target: Path | None = None,
) -> Errors:
    """Have plates read that each of `models` enlarged, and the originals; print a table and write JSON to `target`.

    Raises DataError where the reader or a font is missing, or fastsr's own errors.
    """
    upscalers = {model: fastsr.load(model, device, precision, engine) for model in models}
    reader = Reader()
    errors: Errors = {model: {} for model in (*models, ORIGINALS)}
    for width in widths:
        plates = held_out(width, count, seed)
        for model, upscaler in upscalers.items():
            shown = tqdm(plates, f"{model}, {width} pixels", leave=False)
            made = [upscaler.upscale(plate.given, size=plate.original.size) for plate in shown]
            errors[model][str(width)] = round(error_rate(reader, made, plates), 4)
        errors[ORIGINALS][str(width)] = round(error_rate(reader, [plate.original for plate in plates], plates), 4)
    print(table(errors))
    if target is not None:
        target.write_text(json.dumps(errors, indent=2) + "\n")
    return errors


def table(errors: Errors) -> str:
    """Markdown: a row per model, the share of characters that are read wrong for each width."""
    widths = list(dict.fromkeys(width for values in errors.values() for width in values))
    lines = ["| characters read wrong | " + " | ".join(f"{width} pixels wide" for width in widths) + " |"]
    lines.append("|---|" + "---|" * len(widths))
    lines += [f"| {name} | " + " | ".join(f"{values[w]:.1%}" for w in widths) + " |" for name, values in errors.items()]
    return "\n".join(lines)
