"""What an installed fastsr must do with nothing beside it but what it requires; run on every wheel, and by a test."""

import sys

import numpy as np

import fastsr

WITHOUT = ("torch", "onnxruntime", "av")


def main():
    y, x = np.mgrid[0:48, 0:64]
    image = np.stack([x * 3, y * 4, x + y], axis=2).astype(np.uint8)
    up = fastsr.load("fast-x4", device="cpu")
    made = up.upscale(image)
    assert up.engine == "cpu", up
    assert (made.shape, made.dtype) == ((192, 256, 3), np.uint8)
    small = made.reshape(48, 4, 64, 4, 3).mean(axis=(1, 3))
    assert np.abs(small - image).mean() < 1.5, "the result is another image"
    assert (fastsr.load("fast-x4", device="cpu", tile=32).upscale(image) == made).all(), "tiles changed it"
    assert fastsr.upscale(image, size=(100, 75), device="cpu").shape == (75, 100, 3)
    loaded = [name for name in WITHOUT if name in sys.modules]
    assert not loaded, loaded
    print(f"{up} on Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
