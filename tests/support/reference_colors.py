"""Reference implementations of the conversions between RGB and YUV 4:2:0: the formulas, in double precision."""

import numpy as np

A = -0.6  # of cubic convolution


def cubic(x):
    x = np.abs(x)
    near = ((A + 2) * x - (A + 3)) * x * x + 1
    return np.where(x <= 1, near, np.where(x < 2, ((x - 5) * x + 8) * A * x - 4 * A, 0.0))


def resampled(samples, count, positions, stretch, axis):
    """Sums along an axis around positions, counted in samples; `stretch` widens the cubic; edges are repeated."""
    samples = np.moveaxis(samples, axis, 0)
    made = []
    for position in positions[:count]:
        near = np.arange(np.floor(position - 2 * stretch), np.ceil(position + 2 * stretch) + 1).astype(int)
        weights = cubic((near - position) / stretch)
        rows = samples[np.clip(near, 0, len(samples) - 1)]
        made.append(np.tensordot(weights / weights.sum(), rows, 1))
    return np.moveaxis(np.stack(made), 0, axis)


def halved(chroma, left):
    """Of H x W, with samples on even columns or in the middle of two; rows always lie in the middle of two."""
    height, width = chroma.shape
    columns = 2 * np.arange((width + 1) // 2) + (0 if left else 0.5)
    rows = 2 * np.arange((height + 1) // 2) + 0.5
    chroma = resampled(chroma, len(columns), columns, 2, 1)
    return resampled(chroma, len(rows), rows, 2, 0)


def enlarged(chroma, height, width, left):
    columns = np.arange(width) / 2 - (0 if left else 0.25)
    rows = np.arange(height) / 2 - 0.25
    chroma = resampled(chroma.astype(float), height, rows, 1, 0)
    return resampled(chroma, width, columns, 1, 1)


def levels(full):
    """Black, and what 255 of RGB is worth in luma and in chroma."""
    return (0, 255, 255) if full else (16, 219, 224)


def rgb_to_yuv420(pixels, shares, full, left):
    """H x W x 3 to three planes of floats, in levels."""
    black, luma, chroma = levels(full)
    r, g, b = np.moveaxis(pixels.astype(float) / 255, 2, 0)
    red, blue = shares
    y = red * r + (1 - red - blue) * g + blue * b
    differences = (b - y) / (2 * (1 - blue)), (r - y) / (2 * (1 - red))
    return black + luma * y, *(128 + chroma * halved(d, left) for d in differences)


def yuv420_to_rgb(y, blue_plane, red_plane, shares, full, left):
    """Three planes of levels to H x W x 3 floats in 0..255, or beyond."""
    black, luma, chroma = levels(full)
    red, blue = shares
    y = (y.astype(float) - black) / luma
    cb, cr = (enlarged(c, *y.shape, left) - 128 for c in (blue_plane, red_plane))
    r, b = y + 2 * (1 - red) * cr / chroma, y + 2 * (1 - blue) * cb / chroma
    g = (y - red * r - blue * b) / (1 - red - blue)
    return 255 * np.stack([r, g, b], axis=2)
