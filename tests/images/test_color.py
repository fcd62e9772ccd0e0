"""What PNG's chunks and ICC profiles say of colours: kept where a format can, else converted to sRGB and told."""

from __future__ import annotations

import io
import struct
import warnings

import numpy as np
import pytest
from PIL import Image
from support.image_helpers import SRGB, encoded, enlarge, noise, restored, rewritten, smooth
from support.image_samples import png_bytes, png_chunk, png_chunks, png_samples

from fastsr.images import read, write

PQ, HLG, P3 = (bytes(numbers) for numbers in ((9, 16, 0, 1), (9, 18, 0, 1), (12, 13, 0, 1)))
BT709 = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
BT2020 = (31270, 32900, 70800, 29200, 17000, 79700, 13100, 4600)


def gama(value: int) -> bytes:
    return struct.pack(">I", value)


def chrm(values: tuple[int, ...]) -> bytes:
    return struct.pack(">8I", *values)


def with_chunks(samples: np.ndarray, **chunks: bytes) -> bytes:
    """A PNG of samples with these chunks behind its header."""
    data = png_bytes(samples)
    at = data.index(b"IDAT") - 4
    return data[:at] + b"".join(png_chunk(name.encode(), body) for name, body in chunks.items()) + data[at:]


def to_file(data: bytes, path) -> Image.Image:
    """What is read of a PNG, written as it is."""
    decoded = read(io.BytesIO(data))
    write(decoded, decoded.frames, path)
    return Image.open(path)


def srgb(light: float) -> float:
    light = min(max(light, 0.0), 1.0)
    return 12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055


def linear(sample: float) -> float:
    return sample / 12.92 if sample <= 0.04045 else ((sample + 0.055) / 1.055) ** 2.4


# ---------------------------------------------------------------- kept


@pytest.mark.parametrize(
    "chunks",
    [
        {"cICP": PQ, "mDCV": bytes(range(24)), "cLLI": bytes(range(8)), "gAMA": gama(45455), "cHRM": chrm(BT709)},
        {"sRGB": b"\1", "gAMA": gama(45455), "cHRM": chrm(BT709)},
        {"gAMA": gama(100000)},
        {"cHRM": chrm(BT2020)},
    ],
    ids=["cICP", "sRGB", "gAMA", "cHRM"],
)
@pytest.mark.parametrize(("dtype", "opened"), [(np.uint8, False), (np.uint16, False), (np.uint8, True)])
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_chunks_stay_in_png(chunks, dtype, opened, tmp_path):
    samples = noise(5, 7, 3, dtype=dtype)
    file = io.BytesIO(with_chunks(samples, **chunks))
    decoded = read(Image.open(file) if opened else file)
    write(decoded, enlarge(decoded.frames), tmp_path / "out.png")
    data = (tmp_path / "out.png").read_bytes()
    kept = {name.decode(): body for name, body in png_chunks(data)[1:-1] if name != b"IDAT"}
    assert kept == chunks
    np.testing.assert_array_equal(png_samples(data)[::2, ::2], samples)


def test_what_pillow_gets_can_be_written_again(tmp_path):
    chunks = {"cICP": PQ, "gAMA": gama(45455), "cHRM": chrm(BT709), "sRGB": b"\2"}
    image = restored(io.BytesIO(with_chunks(noise(5, 7, 3), **chunks)))
    assert image.info["cicp"] == (9, 16, 0, 1)
    assert (image.info["srgb"], image.info["gamma"], image.info["chromaticity"][2]) == (2, 0.45455, 0.64)
    rewritten(image, tmp_path / "out.png")
    names = dict(png_chunks((tmp_path / "out.png").read_bytes()))
    assert {name: names[name.encode()] for name in chunks} == chunks


def test_a_profile_outranks_srgb(tmp_path):
    at = (data := encoded(Image.fromarray(smooth(5, 7)), "PNG", icc_profile=SRGB).getvalue()).index(b"IDAT") - 4
    decoded = read(io.BytesIO(data[:at] + png_chunk(b"sRGB", b"\0") + data[at:]))
    write(decoded, decoded.frames, tmp_path / "out.png")
    names = {name for name, _ in png_chunks((tmp_path / "out.png").read_bytes())}
    assert b"iCCP" in names
    assert b"sRGB" not in names


# ---------------------------------------------------------------- converted


@pytest.mark.parametrize("suffix", ["jpg", "webp", "tif", "avif", "bmp", "gif"])
def test_linear_light_becomes_srgb_elsewhere(suffix, tmp_path):
    data = with_chunks(np.full((16, 16, 3), 55, np.uint8), gAMA=gama(100000))
    with pytest.warns(
        RuntimeWarning, match=rf"out\.{suffix}: \w+ cannot say that its colours are gamma 1; they were c"
    ):
        result = to_file(data, tmp_path / f"out.{suffix}")
    assert "icc_profile" not in result.info
    np.testing.assert_allclose(np.asarray(result.convert("RGB"), int), round(255 * srgb(55 / 255)), atol=2)


@pytest.mark.parametrize("gamma", [100000, 55556, 38462])
@pytest.mark.parametrize("channels", [1, 3])
def test_gamma_is_converted_exactly(gamma, channels, tmp_path):
    values = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16, 1).repeat(channels, axis=2)
    with pytest.warns(RuntimeWarning, match="converted to sRGB"):
        to_file(with_chunks(values, gAMA=gama(gamma)), tmp_path / "out.tif")
    expected = [round(65535 * srgb((value / 65535) ** (100000 / gamma))) for value in values[..., 0].ravel().tolist()]
    made = read(tmp_path / "out.tif").frames[0].color
    np.testing.assert_allclose(made[..., 0].ravel().astype(int), expected, atol=2)


def test_alpha_is_left_alone(tmp_path):
    samples = noise(6, 6, 4, dtype=np.uint16)
    with pytest.warns(RuntimeWarning, match="converted"):
        to_file(with_chunks(samples, gAMA=gama(100000)), tmp_path / "out.tif")
    np.testing.assert_array_equal(read(tmp_path / "out.tif").frames[0].alpha[..., 0], samples[..., 3])


# From linear Display P3 to linear sRGB, as published with CSS Color 4.
P3_TO_SRGB = [
    [1.2249401762805598, -0.22494017628055996, 0.0],
    [-0.042056954709688163, 1.0420569547096881, 0.0],
    [-0.019637554590334432, -0.078636045550631889, 1.0982736001409663],
]


@pytest.mark.parametrize("said", ["cICP", "cHRM"])
def test_wide_primaries_are_converted(said, tmp_path):
    primaries = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
    chunks = {"cICP": P3} if said == "cICP" else {"cHRM": chrm(primaries)}
    values = np.array([[[200, 120, 80], [255, 0, 0], [90, 200, 130], [255, 255, 255], [0, 0, 0]]], np.uint8)
    with pytest.warns(RuntimeWarning, match="converted to sRGB"):
        result = to_file(with_chunks(values, **chunks), tmp_path / "out.bmp")
    light = np.array([[linear(v / 255) for v in pixel] for pixel in values[0].tolist()]) @ np.array(P3_TO_SRGB).T
    expected = [[round(255 * srgb(v)) for v in pixel] for pixel in light.tolist()]
    np.testing.assert_allclose(np.asarray(result)[0].astype(int), expected, atol=1)


@pytest.mark.parametrize("primaries", [4, 5, 6, 7, 8, 9, 11, 12, 22])
def test_white_and_gray_stay_neutral(primaries, tmp_path):
    values = np.array([[[255] * 3, [128] * 3, [0] * 3]], np.uint8)
    with pytest.warns(RuntimeWarning, match="converted to sRGB"):
        result = to_file(with_chunks(values, cICP=bytes((primaries, 13, 0, 1))), tmp_path / "out.bmp")
    np.testing.assert_allclose(np.asarray(result).astype(int), values, atol=1)


def pq(light: float) -> float:
    """The sample of so many cd/m2 (SMPTE ST 2084)."""
    root = (light / 10000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * root) / (1 + 2392 / 128 * root)) ** (2523 / 32)


def test_hdr_is_converted_with_white_at_its_reference(tmp_path):
    lights = [0.0, 0.5, 20.3, 101.5, 203.0, 1000.0, 10000.0]
    values = np.array([[[round(65535 * pq(light))] * 3 for light in lights]], np.uint16)
    with pytest.warns(RuntimeWarning, match=r"HDR \(PQ\); .* brighter than 203 cd/m2 to white; write PNG to keep"):
        to_file(with_chunks(values, cICP=PQ), tmp_path / "out.tif")
    made = read(tmp_path / "out.tif").frames[0].color[0, :, 1].astype(int)
    np.testing.assert_allclose(made, [65535 * srgb(light / 203) for light in lights], atol=16)
    assert abs(pq(203) - 0.58) < 0.001, "as ITU-R BT.2408 has it"
    # HLG: BT.2408 puts the same white at 75%; half is a twelfth of the scene's light, to the power 1.2 of 1000 cd/m2
    values = np.array([[[65535 * 3 // 4] * 3, [32768] * 3]], np.uint16)
    with pytest.warns(RuntimeWarning, match=r"HDR \(HLG\)"):
        to_file(with_chunks(values, cICP=HLG), tmp_path / "out.tif")
    made = read(tmp_path / "out.tif").frames[0].color[0, :, 1].astype(int)
    np.testing.assert_allclose(made, [65535, 65535 * srgb(1000 / 203 * (1 / 12) ** 1.2)], atol=80)


@pytest.mark.parametrize("cicp", [(99, 16, 0, 1), (9, 99, 0, 1), (9, 16, 9, 1), (9, 16, 0, 0)])
def test_colors_that_are_not_known_are_left_and_told(cicp, tmp_path):
    values = noise(4, 4, 3)
    with pytest.warns(RuntimeWarning, match=rf"cICP {cicp[0]}, .*they are left as they are; write PNG"):
        result = to_file(with_chunks(values, cICP=bytes(cicp)), tmp_path / "out.bmp")
    np.testing.assert_array_equal(np.asarray(result), values)


@pytest.mark.parametrize(
    "chunks",
    [
        {"sRGB": b"\0", "gAMA": gama(45455), "cHRM": chrm(BT709)},
        {"gAMA": gama(45455)},
        {"gAMA": gama(45455), "cHRM": chrm(BT709)},
        {"cICP": bytes((1, 13, 0, 1))},
        {"gAMA": gama(0)},
        {"cHRM": bytes(32)},
        {"cHRM": b"\xff" * 32},
        {"cHRM": chrm((31270, 32900, 64000, 33000, 64000, 33000, 64000, 33000))},
        {"cHRM": chrm((31270, 0, *BT709[2:]))},
        {"gAMA": b"\1", "cICP": b"\1\2", "cHRM": b"", "sRGB": b""},
    ],
)
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_srgb_and_nonsense_are_left_alone(chunks, tmp_path):
    values = noise(4, 4, 3)
    try:
        read(io.BytesIO(data := with_chunks(values, **chunks)))
    except ValueError:  # Pillow refuses chunks that are too short
        assert len(chunks) == 4
        return
    np.testing.assert_array_equal(np.asarray(to_file(data, tmp_path / "out.bmp")), values)


# ---------------------------------------------------------------- profiles


def exchanged() -> bytes:
    """The profile of sRGB with its red and its green exchanged."""
    return SRGB.replace(b"rXYZ", b"xxxx").replace(b"gXYZ", b"rXYZ").replace(b"xxxx", b"gXYZ")


@pytest.mark.parametrize("suffix", ["gif", "bmp"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_profiles_are_converted_where_none_can_be_kept(suffix, dtype, tmp_path):
    samples = np.full((6, 6, 3), (200, 50, 30), dtype) * (1 if dtype == np.uint8 else 257)
    at = (data := png_bytes(samples.astype(dtype))).index(b"IDAT") - 4
    profile = encoded(Image.new("RGB", (1, 1)), "PNG", icc_profile=exchanged()).getvalue()
    chunk = png_chunk(*next((name, body) for name, body in png_chunks(profile) if name == b"iCCP"))
    result = to_file(data[:at] + chunk + data[at:], tmp_path / f"out.{suffix}")
    np.testing.assert_allclose(np.asarray(result.convert("RGB"), int)[3, 3], [50, 200, 30], atol=3)
    result = to_file(data[:at] + chunk + data[at:], tmp_path / "out.tif")
    assert result.info["icc_profile"] == exchanged()


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA"])
def test_profiles_of_gray_and_with_alpha(mode, tmp_path):
    samples = noise(6, 6, len(mode)) if mode != "L" else noise(6, 6)
    image = Image.fromarray(samples)
    image.info["icc_profile"] = exchanged()
    result = np.asarray(rewritten(image, tmp_path / "out.gif").convert("RGBA"))
    if mode != "L":
        np.testing.assert_array_equal(result[::2, ::2, 3] > 0, samples[..., -1] >= 128)


@pytest.mark.parametrize("profile", [b"no profile at all", SRGB[:200]])
def test_profiles_that_cannot_be_used_are_told(profile, tmp_path):
    image = Image.fromarray(values := noise(4, 4, 3))
    image.info["icc_profile"] = profile
    with pytest.warns(RuntimeWarning, match="BMP holds no ICC profile, and this one cannot be used"):
        result = rewritten(image, tmp_path / "out.bmp")
    np.testing.assert_array_equal(np.asarray(result)[::2, ::2], values)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert rewritten(image, tmp_path / "out.png").info["icc_profile"] == profile
