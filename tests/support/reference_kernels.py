"""Reference implementations of the kernels in plain NumPy: short, slow, obviously right."""

import numpy as np


def pixel_shuffle(x, factor, layout="NCHW"):
    if layout == "NHWC":
        return pixel_shuffle(x.transpose(0, 3, 1, 2), factor).transpose(0, 2, 3, 1)
    n, deep, h, w = x.shape
    c = deep // factor**2
    return x.reshape(n, c, factor, factor, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(n, c, h * factor, w * factor)


def full_scale(dtype):
    return np.float32(1) if dtype == np.float32 else np.float32(np.iinfo(dtype).max)


def to_network(pixels):
    return pixels.astype(np.float32) / full_scale(pixels.dtype)


def to_pixels(values, dtype):
    clamped = np.clip(np.nan_to_num(values * full_scale(dtype), nan=0.0), 0, full_scale(dtype))
    return clamped if dtype == np.float32 else np.rint(clamped).astype(dtype)


def tile_gather(frame, origins, tile, dtype=np.float32):
    height, width, _ = frame.shape
    tiles = []
    for top, left in origins:
        before = max(0, -top), max(0, -left)
        after = max(0, top + tile[0] - height), max(0, left + tile[1] - width)
        padded = np.pad(frame, ((before[0], after[0]), (before[1], after[1]), (0, 0)), mode="reflect")
        y, x = top + before[0], left + before[1]
        tiles.append(to_network(padded[y : y + tile[0], x : x + tile[1]]).transpose(2, 0, 1))
    return np.stack(tiles).astype(dtype)


def enlarge_nearest(low, factor):
    return to_network(low).repeat(factor, 0).repeat(factor, 1)


def enlarge_bilinear(low, factor):
    values = to_network(low)
    for axis in (1, 0):
        n = values.shape[axis]
        position = (np.arange(n * factor, dtype=np.float32) + np.float32(0.5)) / np.float32(factor) - np.float32(0.5)
        first = np.floor(position).astype(int)
        weight = (position - first.astype(np.float32)).reshape([-1 if a == axis else 1 for a in range(3)])
        lower = np.take(values, np.clip(first, 0, n - 1), axis)
        upper = np.take(values, np.clip(first + 1, 0, n - 1), axis)
        values = lower * (np.float32(1) - weight) + upper * weight
    return values


def tile_scatter(batch, windows, frame, factor=1, residual="none", low=None):
    added = {"none": lambda: None, "nearest": lambda: enlarge_nearest(low, factor)}
    added["bilinear"] = lambda: enlarge_bilinear(low, factor)
    base = added[residual]()
    for tile, (top, left, core_top, core_left, core_bottom, core_right) in zip(batch, windows, strict=True):
        shuffled = pixel_shuffle(tile[None].astype(np.float32), factor)[0].transpose(1, 2, 0)
        y0, y1, x0, x1 = (v * factor for v in (core_top, core_bottom, core_left, core_right))
        kept = shuffled[y0 - top * factor : y1 - top * factor, x0 - left * factor : x1 - left * factor]
        if base is not None:
            kept = kept + base[y0:y1, x0:x1]
        frame[y0:y1, x0:x1] = to_pixels(kept, frame.dtype)


def png_filter_rows(rows, above=None):
    """Each row behind its filter type: of the five filters the first of least sum of absolute values, taken over 24 to
    47 blocks of 256 bytes that are spread over the row.
    """
    height, _, channels = rows.shape
    as_bytes = png_bytes(rows).reshape(height, -1)
    before = np.zeros_like(as_bytes[:1]) if above is None else png_bytes(above)[np.newaxis]
    pixel = channels * rows.itemsize
    a = np.pad(as_bytes, ((0, 0), (pixel, 0)))[:, :-pixel]
    b = np.concatenate([before, as_bytes[:-1]])
    c = np.pad(b, ((0, 0), (pixel, 0)))[:, :-pixel]
    to_a, to_b, to_c = (np.abs(a + b - c - x) for x in (a, b, c))
    paeth = np.where((to_a <= to_b) & (to_a <= to_c), a, np.where(to_b <= to_c, b, c))
    filtered = [(as_bytes - predicted) % 256 for predicted in (0, a, b, (a + b) // 2, paeth)]
    counted = np.arange(as_bytes.shape[1]) // 256 % max(1, as_bytes.shape[1] // (256 * 24)) == 0
    costs = [np.minimum(values, 256 - values)[:, counted].sum(axis=1) for values in filtered]
    best = np.argmin(costs, axis=0)
    return np.stack([[kind, *filtered[kind][y]] for y, kind in enumerate(best)]).astype(np.uint8)


def png_bytes(samples):
    """The bytes of samples, most significant first, as integers."""
    return np.frombuffer(samples.astype(samples.dtype.newbyteorder(">")).tobytes(), np.uint8).astype(int)


def weighted_sums(pixels, starts, weights, axis):
    """Along an axis, for each start the sum of as many samples as there are weights, added up in double."""
    turned = np.moveaxis(pixels, axis, 0).astype(np.float64)
    sums = []
    for start, mine in zip(starts, weights, strict=True):
        total = np.zeros(turned.shape[1:])
        for k, weight in enumerate(mine):
            total += turned[start + k] * weight
        sums.append(total.astype(np.float32))
    return np.moveaxis(np.stack(sums), 0, axis)
