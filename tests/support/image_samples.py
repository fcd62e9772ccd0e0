"""Images made byte by byte, and decoded so, independent of the code under test."""

from __future__ import annotations

import struct
import zlib

import numpy as np

_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}


def png_chunk(name: bytes, data: bytes) -> bytes:
    """One PNG chunk."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_bytes(samples: np.ndarray, *, transparency: bytes = b"") -> bytes:
    """Unfiltered PNG of H x W x C uint8 or uint16."""
    height, width, channels = samples.shape
    color_type = {count: kind for kind, count in _CHANNELS.items()}[channels]
    header = struct.pack(">IIBBBBB", width, height, 8 * samples.itemsize, color_type, 0, 0, 0)
    rows = samples.astype(samples.dtype.newbyteorder(">"))
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    chunks = png_chunk(b"IHDR", header)
    if transparency:
        chunks += png_chunk(b"tRNS", transparency)
    return b"\x89PNG\r\n\x1a\n" + chunks + png_chunk(b"IDAT", zlib.compress(data)) + png_chunk(b"IEND", b"")


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Names and data of all chunks, their checksums checked."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    position, chunks = 8, []
    while position < len(data):
        (length,) = struct.unpack(">I", data[position : position + 4])
        name, body = data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        assert struct.unpack(">I", data[position + 8 + length : position + 12 + length]) == (zlib.crc32(name + body),)
        chunks.append((name, body))
        position += 12 + length
    return chunks


def png_samples(data: bytes) -> np.ndarray:
    """Decode the still image of a PNG, sample by sample as the specification says."""
    chunks = png_chunks(data)
    width, height, depth, color_type = struct.unpack(">IIBB", chunks[0][1][:10])
    stream = zlib.decompress(b"".join(body for name, body in chunks if name == b"IDAT"))
    step = _CHANNELS[color_type] * depth // 8
    row_bytes = width * step
    above, rows = bytearray(row_bytes), []
    for y in range(height):
        kind, *line = stream[y * (row_bytes + 1) : (y + 1) * (row_bytes + 1)]
        row = bytearray(row_bytes)
        for i, value in enumerate(line):
            a = row[i - step] if i >= step else 0
            b, c = above[i], above[i - step] if i >= step else 0
            near = min((a, b, c), key=lambda v, p=a + b - c: abs(p - v))
            row[i] = (value + (0, a, b, (a + b) // 2, near)[kind]) & 255
        above = row
        rows.append(bytes(row))
    return np.frombuffer(b"".join(rows), f">u{depth // 8}").reshape(height, width, -1).astype(f"u{depth // 8}")


def lzw_bytes(data: bytes) -> bytes:
    """TIFF's LZW in its plainest form: literals alone, with a clear code before the codes would grow."""
    codes = []
    for start in range(0, len(data), 200):
        codes += [256, *data[start : start + 200]]
    bits = "".join(f"{code:09b}" for code in [*codes, 257])
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def tiff_bytes(samples: np.ndarray, *, order: str, compression: int = 1, extra: int | None = None) -> bytes:
    """One-strip TIFF of H x W x C uint16; order "<" or ">", compression 1 (none), 5 (LZW) or 8 (deflate)."""
    height, width, channels = samples.shape
    strip = samples.astype(f"{order}u2").tobytes()
    strip = {1: bytes, 5: lzw_bytes, 8: zlib.compress}[compression](strip)
    bits = struct.pack(f"{order}{channels}H", *[16] * channels)
    data_at = 8 + len(bits)
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, channels, 8), (259, 3, 1, compression)]
    tags += [(262, 3, 1, 2), (273, 4, 1, data_at), (277, 3, 1, channels), (278, 4, 1, height), (279, 4, 1, len(strip))]
    tags += [(338, 3, 1, extra)] if extra is not None else []
    directory = struct.pack(f"{order}H", len(tags))
    for tag, kind, count, value in tags:
        packed = struct.pack(f"{order}HH", value, 0) if kind == 3 and count == 1 else struct.pack(f"{order}I", value)
        directory += struct.pack(f"{order}HHI", tag, kind, count) + packed
    at = data_at + len(strip) + len(strip) % 2
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", at)
    return start + bits + strip + b"\0" * (len(strip) % 2) + directory + bytes(4)
