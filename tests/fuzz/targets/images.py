"""Image files: read, given back, and written as PNG and as what else can hold them."""

import contextlib
import io
import random
import struct
import zlib

import numpy as np
from PIL import Image
from support.image_helpers import SRGB, encoded, enlarge, image_of_mode, noise, sample_exif, smooth
from support.image_samples import png_bytes, png_chunk

from fastsr.images import read, write
from fuzz.byte_mutations import mutated
from fuzz.target import Target

Image.MAX_IMAGE_PIXELS = 100_000  # for the sake of time
PNG = b"\x89PNG\r\n\x1a\n"


def _seeds() -> list[bytes]:
    image = Image.fromarray(smooth(12, 16))
    beside = {"exif": sample_exif().tobytes(), "icc_profile": SRGB[:600], "dpi": (300, 300)}
    made = [encoded(image, format, **beside).getvalue() for format in ("PNG", "JPEG", "TIFF", "WEBP")]
    made += [encoded(image, "TIFF", compression=how).getvalue() for how in ("tiff_lzw", "jpeg", "packbits")]
    made += [encoded(image, format).getvalue() for format in ("GIF", "BMP", "PPM", "TGA", "ICO", "JPEG2000", "DDS")]
    made += [encoded(image_of_mode(mode), "TIFF").getvalue() for mode in ("I;16", "F", "CMYK", "P", "1")]
    made.append(encoded(image, "AVIF", speed=10, **beside).getvalue())
    made.append(png_bytes(noise(6, 8, 4, dtype=np.uint16)))
    made.append(_with_color_chunks(made[0]))
    others = [Image.fromarray(smooth(12, 16)[::-1]), Image.fromarray(smooth(12, 16)[:, ::-1])]
    for format in ("PNG", "GIF", "WEBP", "TIFF"):
        made.append(encoded(image, format, save_all=True, append_images=others).getvalue())
    made.append(encoded(image, "JPEG2000", no_jp2=True).getvalue())
    made.append(encoded(image, "TGA", rle=True).getvalue())
    made.append(encoded(image, "ICO", sizes=[(16, 12)], bitmap_format="bmp").getvalue())
    made += [encoded(image.convert("RGBA"), "DDS", pixel_format=how).getvalue() for how in ("DXT1", "DXT5")]
    made += [b"P3 2 1 255\n1 2 3 4 5 6\n", b"P4 9 2\n" + bytes(4), b"P6 2 1 1023\n" + bytes(range(12))]
    made.append(b"Pf 2 1 -1.0\n" + np.float32([0, 0.5]).tobytes())
    return made + _of_packages(image)


def _of_packages(image: Image.Image) -> list[bytes]:
    """Formats that need a package, where it is installed."""
    made = []
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
        made.append(encoded(image, "HEIF").getvalue())
    with contextlib.suppress(ImportError):
        import pillow_jxl  # noqa: F401 - it registers itself

        made += [encoded(image, "JXL", lossless=True, use_container=boxed).getvalue() for boxed in (False, True)]
    return made


def _with_color_chunks(png: bytes) -> bytes:
    at = png.index(b"iCCP") - 4
    colors = {
        b"cICP": b"\x09\x10\0\1",
        b"gAMA": b"\0\1\x86\xa0",
        b"cHRM": struct.pack(">8I", *range(20000, 60000, 5000)),
    }
    return png[:at] + b"".join(png_chunk(*chunk) for chunk in colors.items()) + png[at:]


def _png_chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], len(PNG)
    while at + 8 <= len(content):
        (size,) = struct.unpack_from(">I", content, at)
        found.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + size]))
        at += size + 12
    return found


def _png(draw: random.Random, content: bytes) -> bytes:
    """Chunks with another content, in another order, missing or twice, each with the checksum that it needs."""
    chunks = _png_chunks(content)
    for _ in range(draw.randint(1, 3)):
        at, kind = draw.randrange(len(chunks)), draw.randrange(5)
        name, data = chunks[at]
        if kind == 0 and len(chunks) > 1:
            del chunks[at]
        elif kind == 1:
            chunks.insert(draw.randrange(len(chunks) + 1), chunks[at])
        elif kind == 2 and name in (b"IDAT", b"fdAT", b"iCCP"):
            chunks[at] = (name, _deflated_again(draw, data))
        elif data:
            chunks[at] = (name, mutated(draw, data))
    return PNG + b"".join(png_chunk(*chunk) for chunk in chunks)


def _deflated_again(draw: random.Random, data: bytes) -> bytes:
    """Other content for a stream that can still be inflated."""
    for start in range(min(len(data), 80)):
        try:
            plain = zlib.decompress(data[start:])
        except zlib.error:
            continue
        return data[:start] + zlib.compress(mutated(draw, plain) if plain else b"\0")
    return data


SEEDS = _seeds()
PNGS = [seed for seed in SEEDS if seed.startswith(PNG)]


def make(draw: random.Random) -> bytes:
    """A file of any format with a few changes."""
    return _png(draw, draw.choice(PNGS)) if draw.random() < 0.2 else mutated(draw, draw.choice(SEEDS), SEEDS)


def run(content, folder) -> None:
    """Read, give back and write, as `upscale` does around an engine."""
    decoded = read(io.BytesIO(content))
    decoded.restore(decoded.frames)
    for suffix in ("png", "bmp" if len(decoded.frames) == 1 else "tif" if decoded.animation is None else "gif"):
        write(decoded, enlarge(decoded.frames), folder / f"out.{suffix}")


TARGET = Target(make, run)
