"""Free fonts whose letters, stretched and thickened, resemble those of licence plates."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter, ImageFont

from training.data.image_folders import DataError

GLYPH = 160  # height of a capital letter before it is scaled, pixels

# Font -> the package that carries it and the file in it. Matplotlib comes with [train], the others with [plates].
FONTS = {
    "dejavu-bold": ("matplotlib", "mpl-data/fonts/ttf/DejaVuSans-Bold.ttf"),
    "dejavu-mono-bold": ("matplotlib", "mpl-data/fonts/ttf/DejaVuSansMono-Bold.ttf"),
    "fjalla-one": ("font_fjallaone", "files/FjallaOne-Regular.ttf"),
    "lato-bold": ("font_lato", "files/Lato-Bold.ttf"),
    "lato-black": ("font_lato", "files/Lato-Black.ttf"),
    "red-hat-bold": ("font_rhd", "files/RedHatDisplay-Bold.ttf"),
    "roboto-medium": ("font_roboto", "files/Roboto-Medium.ttf"),
    "roboto-bold": ("font_roboto", "files/Roboto-Bold.ttf"),
    "source-sans-bold": ("font_source_sans_pro", "files/SourceSansPro-Bold.ttf"),
    "source-sans-semibold": ("font_source_sans_pro", "files/SourceSansPro-Semibold.ttf"),
}
INSTALLED = tuple(name for name, (package, _) in FONTS.items() if package == "matplotlib")  # with [train] alone


def check(fonts: tuple[str, ...]) -> None:
    """Raise DataError, which says how to install them, unless all of `fonts` are there."""
    for font in fonts:
        _file(font)


def _file(font: str) -> Path:
    package, name = FONTS[font]
    spec = importlib.util.find_spec(package)
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    found = next((path for folder in folders if (path := Path(folder) / name).is_file()), None)
    if found is None:
        raise DataError(f'the font {Path(name).name} is missing; plates are drawn with: pip install -e ".[plates]"')
    return found


@functools.cache
def _sized(font: str) -> ImageFont.FreeTypeFont:
    """The font at the size where an H is about GLYPH pixels high."""
    file = str(_file(font))
    top, bottom = ImageFont.truetype(file, GLYPH).getbbox("H")[1::2]
    return ImageFont.truetype(file, GLYPH * GLYPH / (bottom - top))


@functools.lru_cache(maxsize=4096)
def glyph(font: str, character: str, weight: int = 0) -> Image.Image:
    """A letter or digit as 8-bit coverage, cut to its ink; `weight`: pixels that each edge is moved outwards by."""
    sized = _sized(font)
    left, top, right, bottom = sized.getbbox(character)
    pad = abs(weight) + 2
    image = Image.new("L", (round(right - left) + 2 * pad, round(bottom - top) + 2 * pad))
    ImageDraw.Draw(image).text((pad - left, pad - top), character, fill=255, font=sized)
    if weight:
        image = image.filter((ImageFilter.MaxFilter if weight > 0 else ImageFilter.MinFilter)(2 * abs(weight) + 1))
    return image.crop(image.getbbox())


def text_width(font: str, character: str, height: float) -> float:
    """How wide a glyph is, unstretched, where it is `height` high."""
    image = glyph(font, character)
    return height * image.width / image.height


def small_text(font: str, size: float) -> ImageFont.FreeTypeFont:
    """The font for words beside the registration, in pixels."""
    return ImageFont.truetype(str(_file(font)), max(2.0, size))
