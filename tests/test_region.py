"""`region`: a part of a result, with the bytes of the whole, for the work of the part."""

import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from support.native_networks import NATIVE, ranged
from support.small_models import MODELS, compact

import fastsr
from fastsr import _core, images
from fastsr.errors import FastsrError, ImageError
from fastsr.images import alpha as spreading
from fastsr.images import sample_values

NAMES = ("compact-x2", "folded-x4", "dense-x2", "unet-x2")
SIZES = ({}, {"scale": 3}, {"scale": 2.5}, {"scale": 0.4}, {"size": (150, 97)}, {"scale": 1})


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Models with ranges, so that they run in int8 too."""
    return {name: ranged(NATIVE[name](), tmp_path_factory.mktemp(name)).path for name in NAMES}


@pytest.fixture(scope="module")
def up(files):
    return fastsr.load(files["compact-x2"])


def photo(height=47, width=61, seed=0):
    y, x = np.mgrid[0:height, 0:width]
    waves = [127 + 100 * np.sin(x / a + y / b + seed) for a, b in ((3, 7), (5, 4), (9, 2))]
    noise = np.random.default_rng(seed).integers(-20, 20, (height, width, 3))
    return np.clip(np.stack(waves, axis=-1) + noise, 0, 255).astype(np.uint8)


def with_alpha(pixels, seed=0):
    alpha = np.random.default_rng(seed).integers(0, 256, pixels.shape[:2])
    alpha[5:30, 8:40] = 255
    alpha[-9:] = 0
    return np.dstack([pixels, alpha.astype(np.uint8)])


def crop(array, region):
    left, top, right, bottom = region
    return array[top:bottom, left:right]


def regions(height, width):
    """Corners, edges, the inside, single pixels, everything."""
    return [
        (0, 0, width, height),
        (0, 0, 1, 1),
        (width - 1, height - 1, width, height),
        (width // 3, height // 4, width // 3 + 7, height // 4 + 5),
        (width - 9, 0, width, height),
        (0, height // 2, width, height // 2 + 1),
    ]


def check(up, given, **options):
    """Some regions of what is made of an array."""
    whole = up.upscale(given, **options)
    for region in regions(*whole.shape[:2]):
        made = up.upscale(given, region=region, **options)
        assert made.dtype == whole.dtype
        assert made.flags.c_contiguous or given.ndim == 2
        np.testing.assert_array_equal(made, crop(whole, region), err_msg=f"{region} of {whole.shape}")


@pytest.mark.parametrize("precision", ["fp32", "int8", "bf16"])
@pytest.mark.parametrize("name", NAMES)
def test_regions_have_the_bytes_of_the_whole(files, name, precision):
    if precision not in _core.precisions():
        pytest.skip(f"this processor has no {precision}")
    up = fastsr.load(files[name], device="cpu", precision=precision, engine="cpu")
    for options in SIZES:
        check(up, photo(), **options)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_region_of_any_size(files, data):
    up = fastsr.load(files[data.draw(st.sampled_from(NAMES))], device="cpu", engine="cpu")
    height, width = (data.draw(st.integers(30, 80)) for _ in range(2))
    size = tuple(data.draw(st.integers(1, 200)) for _ in range(2))
    given = photo(height, width, data.draw(st.integers(0, 99)))
    left, top = (data.draw(st.integers(0, side - 1)) for side in size)
    right, bottom = data.draw(st.integers(left + 1, size[0])), data.draw(st.integers(top + 1, size[1]))
    region = (left, top, right, bottom)
    np.testing.assert_array_equal(
        up.upscale(given, size=size, region=region), crop(up.upscale(given, size=size), region)
    )


@pytest.mark.parametrize("options", [{}, {"scale": 1.5}])
@pytest.mark.parametrize(
    "kind",
    [
        lambda page: page.astype(np.uint16) * 200 + 3,
        lambda page: (page.astype(np.uint16) * 200).astype(">u2"),
        lambda page: page.astype(np.float32) / np.float32(255),
        lambda page: page.astype(np.float64) / 200 - 0.1,
        lambda page: (page / 255).astype(np.float16),
        lambda page: page[..., 0],
        lambda page: page[..., :1],
        lambda page: page[::-1, ::2],
        lambda page: with_alpha(page),
        lambda page: with_alpha(page).astype(np.float64) / 255,
        lambda page: np.dstack([page, np.full(page.shape[:2], 255, np.uint8)]),
        lambda page: np.dstack([page, np.zeros(page.shape[:2], np.uint8)]),
    ],
    ids=["u2", ">u2", "f4", "f8", "f2", "gray", "gray1", "strided", "alpha", "alpha-f8", "opaque", "clear"],
)
def test_every_kind_of_array(up, kind, options):
    check(up, kind(photo()), **options)


@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("options", [{}, {"scale": 0.37}, {"size": (300, 20)}, {"size": (13, 200)}])
def test_every_filter(method, options):
    up = fastsr.load(method)
    check(up, photo(), **options)
    check(up, with_alpha(photo()), **options)
    check(up, photo().astype(np.uint16) * 257, **options)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "1", "CMYK", "I;16", "F", "YCbCr"])
@pytest.mark.parametrize("options", [{}, {"scale": 3}])
def test_every_kind_of_pillow_image(up, mode, options):
    if mode == "I;16":
        given = Image.fromarray(photo()[..., 0].astype(np.uint16) * 250)
    elif mode == "F":
        given = Image.fromarray(photo()[..., 0].astype(np.float32) / 255)
    else:
        given = Image.fromarray(with_alpha(photo()) if mode in ("LA", "RGBA") else photo()).convert(mode)
    given.info["dpi"] = (300, 300)
    whole = up.upscale(given, **options)
    region = (11, 7, 60, 53)
    made = up.upscale(given, region=region, **options)
    assert (made.mode, made.size) == (whole.mode, (49, 46))
    assert made.info == whole.info
    np.testing.assert_array_equal(np.asarray(made), np.asarray(whole.crop(region)))


def test_palettes_with_transparency(up):
    given = Image.fromarray(photo()).quantize(16)
    given.info["transparency"] = 3
    whole = up.upscale(given)
    assert whole.mode == "RGBA"
    made = up.upscale(given, region=(20, 30, 90, 80))
    np.testing.assert_array_equal(np.asarray(made), np.asarray(whole.crop((20, 30, 90, 80))))


def test_paths_files_and_orientation(up, tmp_path):
    """A region is of the upright result, which is what is given back and saved."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photo()).save(tmp_path / "turned.png", exif=exif)
    whole = up.upscale(tmp_path / "turned.png")
    assert whole.size == (94, 122)
    region = (50, 90, 94, 122)
    made = up.upscale(tmp_path / "turned.png", region=region)
    np.testing.assert_array_equal(np.asarray(made), np.asarray(whole.crop(region)))
    again = fastsr.upscale(io.BytesIO((tmp_path / "turned.png").read_bytes()), 2, model="bicubic", region=region)
    expected = fastsr.upscale(str(tmp_path / "turned.png"), 2, model="bicubic").crop(region)
    np.testing.assert_array_equal(np.asarray(again), np.asarray(expected))


def test_every_frame_of_an_animation(up, tmp_path):
    frames = [Image.fromarray(photo(seed=seed)) for seed in range(3)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:], duration=70)
    whole = up.upscale(tmp_path / "moving.gif")
    made = up.upscale(tmp_path / "moving.gif", region=(5, 6, 70, 80))
    assert len(made) == 3
    for one, other in zip(made, whole, strict=True):
        assert one.info["duration"] == 70
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other.crop((5, 6, 70, 80))))


def test_a_page_that_is_too_small_is_told(up, tmp_path):
    Image.fromarray(photo()).save(
        tmp_path / "pages.tiff", save_all=True, append_images=[Image.fromarray(photo(20, 20))]
    )
    assert len(up.upscale(tmp_path / "pages.tiff", region=(0, 0, 40, 40))) == 2
    with pytest.raises(FastsrError, match="reaches beyond the result, which is 40x40 pixels"):
        up.upscale(tmp_path / "pages.tiff", region=(0, 0, 41, 40))


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float16", "bfloat16", "float64"])
def test_tensors(up, dtype):
    torch = pytest.importorskip("torch")
    given = torch.from_numpy(photo()).permute(2, 0, 1)
    given = given if dtype == "uint8" else (given / 255).to(getattr(torch, dtype))
    whole, made = up.upscale(given), up.upscale(given, region=(3, 4, 55, 66))
    assert made.dtype == given.dtype
    assert torch.equal(made, whole[..., 4:66, 3:55])
    batch = torch.stack([given, given.flip(-1)])
    made = up.upscale(batch, 1.5, region=(3, 4, 55, 66))
    assert made.shape == (2, 3, 62, 52)
    assert torch.equal(made, up.upscale(batch, 1.5)[..., 4:66, 3:55])


@pytest.mark.parametrize("options", [{}, {"scale": 1.7}, {"scale": 5}])
def test_colour_through_a_gray_model(tmp_path, options):
    up = fastsr.load(compact(2, inputs=1).save(tmp_path / "gray.onnx"), device="cpu")
    check(up, photo(), **options)
    check(up, with_alpha(photo()), **options)
    check(up, photo()[..., 0], **options)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("model", ["fast-x4", "photo-x4", "live-x2"])
def test_shipped_models(model, precision):
    up = fastsr.load(model, device="cpu", precision=precision)
    given = photo(90, 131)
    whole = up.upscale(given)
    for region in ((100, 60, 164, 124), (0, 0, 9, 9), (whole.shape[1] - 31, 3, whole.shape[1], 77)):
        np.testing.assert_array_equal(up.upscale(given, region=region), crop(whole, region))


def test_blended_and_less_real():
    given, region = photo(), (10, 20, 100, 90)
    for options in ({"model": "fast-x2", "blend": 0.4}, {"model": "srgan-x4", "realism": 0.3}):
        made = fastsr.upscale(given, region=region, device="cpu", **options)
        np.testing.assert_array_equal(made, crop(fastsr.upscale(given, device="cpu", **options), region))


@pytest.mark.parametrize("bounds", [{"tile": 60}, {"memory": "300K"}, {"tile": 40, "overlap": 3}, {"overlap": 2}])
@pytest.mark.parametrize("engine", ["cpu", "onnxruntime"])
def test_windows_and_bounds(files, engine, bounds):
    if engine == "onnxruntime" and "memory" in bounds:
        bounds = {"memory": "4M"}
    up = fastsr.load(files["compact-x2"], device="cpu", engine=engine, **bounds)
    check(up, photo(90, 111))


@pytest.mark.parametrize("name", ["mixed-x4", "downsampling-x2", "deconvolved-x4", "srresnet-x4"])
def test_other_runtimes_make_the_windows_that_a_region_lies_in(tmp_path, name):
    path = MODELS[name]().save(tmp_path / f"{name}.onnx")
    up = fastsr.load(path, device="cpu", engine="onnxruntime")
    tiles = up._generator.engine.windows
    tiles.tile = (4 * tiles.smallest,) * 2
    given = photo(5 * tiles.smallest + 3, 9 * tiles.smallest + 1)
    check(up, given)
    check(up, given, scale=1.3)
    made = []
    whole = up.upscale(given, progress=lambda *now: made.append(now))
    part = up.upscale(given, region=(0, 0, 8, 8), progress=lambda *now: made.append(now))
    assert made[-1] == (1, 1)
    assert made[-2][1] > 1
    np.testing.assert_array_equal(part, crop(whole, (0, 0, 8, 8)))


@pytest.mark.parametrize("threads", ["1", "2", "5"])
def test_any_number_of_threads(up, threads, monkeypatch):
    monkeypatch.setenv("FASTSR_NUM_THREADS", threads)
    monkeypatch.setenv("FASTSR_TEST_THREADS", threads)
    check(up, photo(120, 140), scale=2)
    check(up, photo(120, 140), scale=3)


@pytest.mark.parametrize("scale", [1, 2, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_rows_of_a_region(up, scale, channels, monkeypatch):
    monkeypatch.setattr("fastsr.engines.native.engine.BAND_BYTES", 6000)
    tall = images.read(np.concatenate([photo()[..., :channels]] * 8))
    region = (7, 11, 50, 340)
    rows = up.rows(tall, scale, region=region)
    assert (rows.shape, rows.dtype) == ((329, 43, channels), np.uint8)
    bands = list(rows.bands)
    assert len(bands) > 2
    (frame,) = up.enlarge(tall, scale)
    np.testing.assert_array_equal(np.concatenate(bands), crop(frame.color, region))


def pixels_read(up, shape, **options):
    """How many pixels of an array are converted for a region of its enlargement."""
    counted = []
    original = sample_values.settled

    def settled(values, name):
        counted.append(values.shape[0] * values.shape[1])
        return original(values, name)

    given = np.broadcast_to(np.uint8(90), shape)  # of which nobody can afford a copy
    with pytest.MonkeyPatch.context() as patch:
        for module in ("fastsr.frame_parts", "fastsr.images.sample_values"):
            patch.setattr(f"{module}.settled", settled)
        made = up.upscale(given, **options)
    return made, sum(counted)


@pytest.mark.parametrize("options", [{}, {"scale": 3}, {"scale": 1.25}])
def test_no_more_is_read_than_the_region_depends_on(up, options):
    """Of an image of a terapixel, which no copy or pass over the whole could be made of."""
    scale = options.get("scale", 2)
    left, top = 1_300_000, 700_001
    made, read = pixels_read(up, (1 << 20, 1 << 20, 3), region=(left, top, left + 256, top + 200), **options)
    assert made.shape == (200, 256, 3)
    radius = up._generator.network.radius
    beyond = 2 * (radius + 6)  # and what a sum of the resampling spans
    assert read <= (256 / scale + beyond) * (200 / scale + beyond)


def test_filters_read_no_more_either():
    made, read = pixels_read(fastsr.load("lanczos"), (1 << 20, 1 << 20, 3), region=(999_990, 5, 1_000_246, 205))
    assert made.shape == (200, 256, 3)
    assert read <= (256 / 4 + 8) * (200 / 4 + 8)


def test_colours_are_spread_once_for_all_parts_of_an_image_that_was_read(up, monkeypatch):
    shapes, bleed = [], spreading.bleed

    def counted(color, alpha):
        shapes.append(color.shape)
        return bleed(color, alpha)

    monkeypatch.setattr(spreading, "bleed", counted)
    pixels = with_alpha(photo())
    whole = up.upscale(pixels)
    image = images.read(pixels)
    for region in regions(*whole.shape[:2]):
        np.testing.assert_array_equal(image.restore(up.enlarge(image, region=region)), crop(whole, region))
    assert shapes == [(47, 61, 3)] * 2


def test_values_elsewhere_are_not_looked_at(up):
    given = photo().astype(np.float32) / 255
    given[40:] = np.nan
    expected = up.upscale(np.nan_to_num(given), region=(0, 0, 30, 30))
    np.testing.assert_array_equal(up.upscale(given, region=(0, 0, 30, 30)), expected)
    with pytest.raises(ImageError, match="NaN"):
        up.upscale(given, region=(0, 60, 30, 90))
    with pytest.raises(ImageError, match="divide by 255"):
        up.upscale(photo().astype(np.float32), region=(0, 60, 30, 90))


def test_the_callers_array_stays_as_it_was(up):
    given = with_alpha(photo())
    before = given.copy()
    made = up.upscale(given, region=(0, 0, 60, 60))
    made[:] = 0
    np.testing.assert_array_equal(given, before)
    near = fastsr.load("nearest").upscale(given[..., :3], 1, region=(0, 0, 60, 40))
    near[:] = 0
    np.testing.assert_array_equal(given, before)


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ((0, 0, 123, 94), "reaches beyond the result, which is 122x94 pixels"),
        ((-1, 0, 5, 5), "reaches beyond the result, which is 122x94"),
        ((0, 90, 5, 95), "reaches beyond the result, which is 122x94"),
        ((5, 5, 5, 9), "holds no pixels"),
        ((9, 5, 5, 9), "holds no pixels"),
        ((0, 0, 5), "is not left, top, right and bottom"),
        ((0, 0, 5.5, 6), "is not left, top, right and bottom"),
        ("abcd", "is not left, top, right and bottom"),
        ((0, 0, float("nan"), 2), "is not left, top, right and bottom"),
        (7, "is not left, top, right and bottom"),
    ],
)
def test_bad_regions(up, region, message):
    for pixels in (photo(), Image.fromarray(photo()), with_alpha(photo())):
        with pytest.raises(FastsrError, match=message):
            up.upscale(pixels, region=region)


def test_numbers_of_numpy_are_taken(up):
    region = np.array([3, 4, 50, 60])
    np.testing.assert_array_equal(up.upscale(photo(), region=region), crop(up.upscale(photo()), region))


def test_progress_counts_to_the_end(up):
    for pixels in (photo(), with_alpha(photo())):
        for options in ({}, {"scale": 3}):
            seen = []
            up.upscale(pixels, region=(5, 5, 50, 50), progress=lambda *now, seen=seen: seen.append(now), **options)
            done, totals = zip(*seen, strict=True)
            assert list(done) == sorted(done)
            assert set(totals) == {done[-1]}
