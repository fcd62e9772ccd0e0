"""Formats, quality, alpha and CMYK in files; files whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.image_helpers import SRGB, encoded, noise, rewritten, smooth, twice

from fastsr import images
from fastsr.errors import ImageError
from fastsr.images import Frame, output_format, read, write


@pytest.mark.parametrize(
    ("suffix", "format"),
    [
        (".png", "PNG"),
        (".apng", "PNG"),
        (".jpg", "JPEG"),
        (".JPEG", "JPEG"),
        (".jfif", "JPEG"),
        (".webp", "WebP"),
        (".tif", "TIFF"),
        (".tiff", "TIFF"),
        (".avif", "AVIF"),
        (".bmp", "BMP"),
        (".gif", "GIF"),
    ],
)
def test_output_format(suffix, format, tmp_path):
    assert output_format(tmp_path / f"a{suffix}") == format
    assert suffix.lower() in images.SUFFIXES
    result = rewritten(smooth(6, 8), tmp_path / f"a{suffix}")
    assert result.format == format.upper()
    assert result.size == (16, 12)
    np.testing.assert_allclose(np.asarray(result.convert("RGB"), int), twice(smooth(6, 8)), atol=24)


@pytest.mark.parametrize("path", ["a.xyz", "a", Path("b.mp4")])
def test_unknown_suffix(path):
    with pytest.raises(ImageError, match=r"\.png.*\.gif"):
        output_format(path)


def test_format_overrides_the_suffix(tmp_path):
    assert rewritten(smooth(4, 4), tmp_path / "a.dat", format="jpeg").format == "JPEG"
    assert rewritten(smooth(4, 4), tmp_path / "a.png", format="WebP").format == "WEBP"
    with pytest.raises(ImageError, match="PNG JPEG"):
        rewritten(smooth(4, 4), tmp_path / "a.png", format="xcf")


@pytest.mark.parametrize("quality", [0, 101, -1, 50.0, "90", True])
def test_quality_out_of_bounds(quality, tmp_path):
    with pytest.raises(ImageError, match="1 to 100"):
        rewritten(smooth(4, 4), tmp_path / "a.jpg", quality=quality)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif"])
def test_quality_matters(suffix, tmp_path):
    sizes = []
    for quality in (1, 50, None, 100):
        rewritten(noise(32, 32, 3), tmp_path / f"a{suffix}", quality=quality)
        sizes.append((tmp_path / f"a{suffix}").stat().st_size)
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 4


def test_jpeg_is_written_without_subsampling(tmp_path):
    result = rewritten(smooth(16, 16), tmp_path / "a.jpg")
    assert {layer[1:3] for layer in result.layer} == {(1, 1)}
    reference = Image.open(encoded(Image.fromarray(smooth(16, 16)), "JPEG", quality=95))
    assert result.quantization == reference.quantization


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.filterwarnings("ignore:.*holds 8 bits:RuntimeWarning")
def test_alpha_is_laid_on_white(suffix, dtype, tmp_path):
    array = np.zeros((8, 8, 4))
    array[..., 3] = 51
    given = (
        (array / 255).astype(dtype) if dtype == np.float32 else array.astype(dtype) * (257 if dtype != np.uint8 else 1)
    )
    result = np.asarray(rewritten(given, tmp_path / f"a{suffix}"))
    assert result.shape == (16, 16, 3)
    np.testing.assert_allclose(result, 204, atol=0 if suffix == ".bmp" else 1)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".avif"])
def test_alpha_is_kept(suffix, tmp_path):
    array = np.concatenate([smooth(8, 8), np.full((8, 8, 1), 128, np.uint8)], axis=2)
    result = rewritten(array, tmp_path / f"a{suffix}")
    assert result.mode == "RGBA"
    np.testing.assert_allclose(np.asarray(result)[..., 3], 128, atol=2)


@pytest.mark.parametrize("source", ["JPEG", "TIFF"])
@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_stays_cmyk(source, suffix, tmp_path):
    cmyk = bytearray(SRGB)
    cmyk[16:20] = b"CMYK"
    image = Image.new("CMYK", (16, 16), (10, 200, 60, 30))
    file = encoded(image, source, icc_profile=bytes(cmyk), **({"quality": 100} if source == "JPEG" else {}))
    result = rewritten(file, tmp_path / f"a{suffix}", quality=100)
    assert result.mode == "CMYK"
    assert result.info["icc_profile"] == bytes(cmyk)
    np.testing.assert_allclose(np.asarray(result, int), np.broadcast_to([10, 200, 60, 30], (32, 32, 4)), atol=2)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".avif", ".bmp", ".gif"])
def test_cmyk_becomes_rgb_without_its_profile(suffix, tmp_path):
    cmyk = bytearray(SRGB)
    cmyk[16:20] = b"CMYK"
    image = Image.new("CMYK", (16, 16), (10, 200, 60, 30))
    for profile in (b"an odd profile, of unknown space", bytes(cmyk)):
        image.info["icc_profile"] = profile
        result = rewritten(image, tmp_path / f"a{suffix}")
        assert "icc_profile" not in result.info
    expected = np.asarray(image.convert("RGB"), int)[0, 0]
    np.testing.assert_allclose(np.asarray(result.convert("RGB"), int)[4, 4], expected, atol=6)


@pytest.mark.parametrize(("suffix", "side"), [(".jpg", 65501), (".webp", 16384), (".avif", 32769), (".gif", 65536)])
def test_sides_over_the_limit(suffix, side, tmp_path):
    decoded = read(noise(1, 1))
    with pytest.raises(ImageError, match=r"PNG or TIFF"):
        write(decoded, [Frame(np.zeros((1, side, 1), np.uint8))], tmp_path / f"a{suffix}")
    write(decoded, [Frame(np.zeros((1, side - 1, 1), np.uint8))], tmp_path / f"a{suffix}")
    assert Image.open(tmp_path / f"a{suffix}").size == (side - 1, 1)


def test_mode_follows_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        rewritten(smooth(4, 4), tmp_path / "a.png")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == 0o640


def test_link_is_followed(tmp_path):
    (tmp_path / "real.png").write_bytes(b"old")
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    rewritten(smooth(4, 4), tmp_path / "link.png")
    assert (tmp_path / "link.png").is_symlink()
    assert Image.open(tmp_path / "real.png").size == (8, 8)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(errno.ENOSPC, "full"), OSError(errno.EIO, "bad disk")])
@pytest.mark.parametrize("stage", ["write", "replace"])
def test_failed_write_leaves_the_folder_as_it_was(error, stage, tmp_path, monkeypatch):
    target = tmp_path / "a.png"
    target.write_bytes(b"old")
    decoded = read(noise(4, 4, 3))
    opened = Path.open

    def failing_open(self, mode="r", *rest, **options):
        file = opened(self, mode, *rest, **options)
        if mode == "wb":
            file.write(b"half")
            file.flush()
            file.close()
            raise error
        return file

    def failing_replace(self, other):
        raise error

    monkeypatch.setattr(Path, *(("open", failing_open) if stage == "write" else ("replace", failing_replace)))
    with pytest.raises(KeyboardInterrupt if error is KeyboardInterrupt else ImageError) as caught:
        write(decoded, decoded.frames, target)
    monkeypatch.undo()
    assert target.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [target]
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        assert f"no space left on {tmp_path}" in str(caught.value)


def test_encoder_failure_leaves_the_folder_as_it_was(tmp_path, monkeypatch):
    def failing_save(self, file, *rest, **options):
        file.write(b"half")
        raise OSError("encoder error -2")

    monkeypatch.setattr(Image.Image, "save", failing_save)
    target = tmp_path / "a.jpg"
    target.write_bytes(b"old")
    decoded = read(noise(4, 4, 3))
    with pytest.raises(ImageError, match=r"a\.jpg.*JPEG.*encoder error"):
        write(decoded, decoded.frames, target)
    assert target.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [target]


def test_missing_folder_and_wrong_targets(tmp_path):
    with pytest.raises(ImageError, match="does not exist"):
        rewritten(smooth(4, 4), tmp_path / "none" / "a.png")
    with pytest.raises(ImageError, match="not a plain file"):
        rewritten(smooth(4, 4), tmp_path, format="PNG")


def test_folder_without_permission(tmp_path, monkeypatch):
    def refuse(self, *rest, **options):
        raise PermissionError(errno.EACCES, "refused")

    decoded = read(noise(4, 4))
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ImageError, match="no permission to write"):
        write(decoded, decoded.frames, tmp_path / "a.png")
