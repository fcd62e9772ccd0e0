"""Open the bytes of an image file with the one Pillow plugin that knows its format, guarded where a plugin is not.

No other plugin gets to see the bytes: some open files inside of files or start other programs.
"""

from __future__ import annotations

import importlib
import io
import struct

from PIL import Image, ImageFile

from fastsr.errors import ImageError
from fastsr.images import pixel_limit
from fastsr.images.formats import Format
from fastsr.images.jpeg_xl import size_of

_PACKAGES = {"heif": "pillow-heif", "jxl": "pillow-jxl-plugin"}


def open_image(data: bytes, known: Format, name: str, allow_huge: bool, page: int = 0) -> ImageFile.ImageFile:
    """An opened, not yet loaded image, at a page of it.

    Raises ImageError where the format needs a package that is not there, and whatever Pillow raises of damage.
    """
    load_plugin(known, name)
    if known.name == "JPEG XL" and not allow_huge:
        pixel_limit.check(*size_of(data))  # its plugin decodes as it opens
    elif known.name == "DDS":
        _check_dds(data)
    try:
        image = Image.open(io.BytesIO(data), formats=(known.plugin,))
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # of plugins in Rust: not an Exception
            raise ValueError(str(error)) from None
        raise
    if page:
        image.seek(page)
    return image


def load_plugin(known: Format, name: str) -> None:
    """Import what knows a format, so that Pillow need not import all it has to find it."""
    try:
        module = importlib.import_module(known.module)
    except ImportError as error:
        if known.extra is None:
            raise
        raise ImageError(
            f'{name}: {known.name} needs {_PACKAGES[known.extra]}; pip install "fastsr[{known.extra}]" ({error})'
        ) from error
    if known.name == "HEIC" and known.plugin not in Image.OPEN:
        module.register_heif_opener()


def _check_dds(data: bytes) -> None:
    """Raise ValueError for fewer bytes than an uncompressed DDS says it has: its decoder would go on without them."""
    if len(data) < 128:
        raise ValueError("the header is not whole")
    height, width = struct.unpack("<2I", data[12:20])
    flags, _, bits = struct.unpack("<3I", data[80:92])
    if flags & 0x40 and width * height * bits // 8 > len(data) - 128:
        raise ValueError("fewer pixels than it says")
