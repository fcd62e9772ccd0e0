"""fastsr.upscale and Upscaler: kinds in and out, sizes, gray, alpha, choice of model, bad values."""

import concurrent.futures
import io
import multiprocessing
import pickle
import threading
import typing

import numpy as np
import pytest
from PIL import Image
from support.small_models import SAMPLE, compact

import fastsr
from fastsr import images
from fastsr.engines.protocol import DEVICES, PRECISIONS
from fastsr.engines.registry import FORMER_NAMES, REGISTRY
from fastsr.errors import EngineError, FastsrError, ImageError, ModelError
from fastsr.images import luma, resample
from fastsr.images.alpha import bleed
from fastsr.network import catalog
from fastsr.output_size import output_size


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return compact(2, seed=3).save(tmp_path_factory.mktemp("models") / "small-x2.onnx")


@pytest.fixture(scope="module")
def up(model):
    return fastsr.load(model)


@pytest.fixture
def photo():
    y, x = np.mgrid[0:30, 0:44]
    waves = [127 + 100 * np.sin(x / a + y / b) for a, b in ((3, 7), (5, 4), (9, 2))]
    return np.stack(waves, axis=-1).astype(np.uint8)


def test_pil_array_path_and_file_agree(up, photo, tmp_path):
    Image.fromarray(photo).save(tmp_path / "photo.png")
    expected = up.upscale(photo)
    assert expected.shape == (60, 88, 3)
    assert expected.dtype == np.uint8
    made = up.upscale(Image.fromarray(photo))
    assert isinstance(made, Image.Image)
    with (tmp_path / "photo.png").open("rb") as file:
        others = [made, up.upscale(tmp_path / "photo.png"), up.upscale(str(tmp_path / "photo.png")), up.upscale(file)]
    for other in others:
        np.testing.assert_array_equal(np.asarray(other), expected)


def test_tensor_agrees_with_array(up, photo):
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(photo).permute(2, 0, 1)
    made = up.upscale(tensor)
    np.testing.assert_array_equal(made.permute(1, 2, 0).numpy(), up.upscale(photo))
    batch = up.upscale(torch.stack([tensor, tensor.flip(-1)]).float() / 255)
    assert batch.shape == (2, 3, 60, 88)
    assert batch.dtype == torch.float32
    np.testing.assert_allclose(batch[0].numpy() * 255, made.numpy(), atol=0.5001)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_depths_agree(up, photo, dtype):
    full = 1 if dtype == np.float32 else np.iinfo(dtype).max
    given = (photo / 255 * full).astype(dtype)
    made = up.upscale(given)
    assert made.dtype == dtype
    np.testing.assert_allclose(made / full, up.upscale(photo) / 255, atol=1.1 / 255)


def test_gray_stays_gray(up, photo):
    gray = photo[..., 0]
    assert up.upscale(gray).shape == (60, 88)
    assert up.upscale(gray[..., None]).shape == (60, 88, 1)
    made = up.upscale(Image.fromarray(gray))
    assert made.mode == "L"
    colour = up.upscale(np.repeat(gray[..., None], 3, axis=2).astype(np.float32) / 255)
    np.testing.assert_allclose(np.asarray(made) / 255, colour.mean(axis=2), atol=1.01 / 255)


@pytest.mark.parametrize("engine", ["cpu", "onnxruntime"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_colour_through_a_gray_model(tmp_path, photo, engine, dtype):
    """Luma is the network's, chroma resampled; gray pictures and gray in colour come out alike."""
    up = fastsr.load(compact(2, inputs=1).save(tmp_path / "gray.onnx"), device="cpu", engine=engine)
    assert up.engine == engine
    given = photo if dtype == np.uint8 else (photo / 255).astype(dtype)
    made = up.upscale(given)
    assert (made.shape, made.dtype) == ((60, 88, 3), dtype)
    y, chroma = luma.split(given)
    expected = luma.joined(up.upscale(y), resample.resize(chroma, (88, 60)), made.dtype)
    np.testing.assert_array_equal(made, expected)
    gray = np.repeat(given[..., :1], 3, axis=2)
    full = 255 if dtype == np.uint8 else 1
    alone, colour = up.upscale(given[..., :1]) / full, up.upscale(gray) / full
    np.testing.assert_allclose(np.repeat(alone, 3, axis=2), colour, atol=1.01 / 255)


def test_transparency_through_a_gray_model(tmp_path, photo):
    up = fastsr.load(compact(2, inputs=1).save(tmp_path / "gray.onnx"))
    alpha = np.linspace(0, 255, 30 * 44).astype(np.uint8).reshape(30, 44, 1)
    made = up.upscale(np.concatenate([photo, alpha], axis=2))
    np.testing.assert_array_equal(made[..., 3:], up.upscale(alpha))


def check_progress(seen):
    """Counts grow up to one total."""
    done, totals = zip(*seen, strict=True)
    assert list(done) == sorted(set(done))
    assert set(totals) == {done[-1]}


def test_progress_through_a_gray_model_counts_to_the_end(tmp_path, photo):
    up, seen = fastsr.load(compact(2, inputs=1).save(tmp_path / "gray.onnx")), []
    up.upscale(photo, progress=lambda *count: seen.append(count))
    check_progress(seen)


@pytest.mark.parametrize("scale", [0.5, 1, 1.5, 2, 2.37, 3, 5])
def test_any_scale(up, photo, scale):
    made = up.upscale(photo, scale=scale)
    assert made.shape == (round(30 * scale), round(44 * scale), 3)
    native = up.upscale(photo.astype(np.float32) / 255)
    expected = resample.resize(native, (round(44 * scale), round(30 * scale)))
    np.testing.assert_allclose(made / 255, np.clip(expected, 0, 1), atol=0.51 / 255)


@pytest.mark.parametrize("scale", [1, 2, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_rows_are_those_of_the_whole(up, photo, scale, channels, monkeypatch):
    """However they are cut: the result at any scale is resampled as if the model's output were there at once."""
    monkeypatch.setattr("fastsr.engines.native.engine.BAND_BYTES", 8000)
    tall = images.read(np.concatenate([photo[..., :channels]] * 8))
    rows = up.rows(tall, scale)
    assert (rows.shape, rows.dtype) == ((240 * scale, 44 * scale, channels), np.uint8)
    bands = list(rows.bands)
    assert len(bands) > 2
    (frame,) = up.enlarge(tall, scale)
    np.testing.assert_array_equal(np.concatenate(bands), frame.color)
    native = tall.frames[0].color.astype(np.float32) / np.float32(255)
    (floats,) = up.enlarge(images.read(native))
    if channels == 3 and scale != 2:
        size = frame.color.shape[1::-1]
        np.testing.assert_array_equal(resample.resize_to(floats.color, size, np.dtype(np.uint8)), frame.color)


def test_rows_where_an_image_is_not_made_of_them(up, photo, tmp_path):
    assert up.rows(images.read(np.concatenate([photo, photo[..., :1]], axis=2))) is None
    assert up.rows(images.read(Image.fromarray(photo).convert("CMYK"))) is None
    assert fastsr.load("bicubic").rows(images.read(photo)) is None
    gray = fastsr.load(compact(2, inputs=1).save(tmp_path / "gray.onnx"))
    assert gray.rows(images.read(photo)) is None
    assert gray.rows(images.read(photo[..., 0])) is not None
    with pytest.raises(FastsrError, match="must be a number above 0"):
        up.rows(images.read(photo), scale=-1)


def test_any_size(up, photo):
    assert up.upscale(Image.fromarray(photo), size=(101, 33)).size == (101, 33)
    assert up.upscale(photo, size=(1, 1)).shape == (1, 1, 3)


def test_the_models_own_size_is_not_resampled(up, photo):
    np.testing.assert_array_equal(up.upscale(photo, scale=2), up.upscale(photo))
    np.testing.assert_array_equal(up.upscale(photo, size=(88, 60)), up.upscale(photo))


def test_one_pixel(up):
    assert up.upscale(np.full((1, 1, 3), 90, np.uint8)).shape == (2, 2, 3)


def test_strided_arrays(up, photo):
    np.testing.assert_array_equal(up.upscale(photo[::-1, ::2]), up.upscale(photo[::-1, ::2].copy()))


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf"), "big"])
def test_bad_scales(up, photo, scale):
    with pytest.raises(FastsrError, match="must be a number above 0"):
        up.upscale(photo, scale=scale)


def test_bad_sizes(up, photo):
    for size in ((0, 5), (5, -1), (1.5, 2), (1, 2, 3), (float("nan"), 2), (float("inf"), 2), ("a", 2), 5):
        with pytest.raises(FastsrError, match="not a width and a height"):
            up.upscale(photo, size=size)
    with pytest.raises(FastsrError, match="give one of them"):
        up.upscale(photo, scale=2, size=(4, 4))


@pytest.mark.parametrize("wanted", [{"scale": 1e308}, {"scale": 1e12}, {"size": (1 << 40, 2)}])
def test_impossible_sizes(up, photo, wanted):
    with pytest.raises(FastsrError, match="too many"):
        up.upscale(photo, **wanted)


def test_bad_images(up, photo):
    with pytest.raises(ImageError, match="NaN"):
        up.upscale(np.full((4, 4, 3), np.nan, np.float32))
    with pytest.raises(ImageError, match="int32"):
        up.upscale(photo.astype(np.int32))
    with pytest.raises(ImageError, match="2"):
        up.upscale(photo[..., :2])
    with pytest.raises(ImageError):
        up.upscale(photo[:0])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_that_overshoot_are_clipped(up, photo, dtype):
    """As a bicubic resize leaves them; what is no image in 0..1 is refused."""
    given = (photo / 255 * 1.9 - 0.45).astype(dtype)
    assert given.min() < -0.05
    assert given.max() > 1.2
    np.testing.assert_array_equal(up.upscale(given), up.upscale(np.clip(given, 0, 1)))
    for factor in (1.7, -0.8, 255):
        with pytest.raises(ImageError, match=r"reach from .* expected 0\.\.1; divide by 255"):
            up.upscale(np.full((4, 4, 3), factor, dtype))


def test_tensors_that_overshoot_are_clipped(up):
    torch = pytest.importorskip("torch")
    given = torch.linspace(-0.4, 1.4, 300).reshape(3, 10, 10)
    assert torch.equal(up.upscale(given), up.upscale(given.clamp(0, 1)))
    with pytest.raises(ImageError, match="expected 0"):
        up.upscale(given * 2)


def test_output_size_rounds_and_never_vanishes():
    assert output_size(3, 5, 1.5, None, 4) == (4, 8)
    assert output_size(3, 5, 0.01, None, 4) == (1, 1)
    assert output_size(3, 5, None, None, 4) == (12, 20)


def test_stream_is_lazy_and_in_order(up, photo):
    taken = []

    def frames():
        for i in range(5):
            taken.append(i)
            yield photo + np.uint8(i)

    stream = up.stream(frames())
    np.testing.assert_array_equal(next(stream), up.upscale(photo))
    assert taken == [0]
    assert [f.shape for f in stream] == [(60, 88, 3)] * 4


@pytest.mark.parametrize("deadline", [None, 1000])
def test_stream_tells_progress_of_each_frame(up, photo, deadline):
    """What the callback raises ends the frame at hand."""
    seen = []
    for count, _ in enumerate(
        up.stream([photo, 255 - photo], deadline=deadline, progress=lambda *now: seen.append(now)), 1
    ):
        assert seen[-1][0] == seen[-1][1]
        assert sum(done == total for done, total in seen) == count

    class Enough(Exception):
        pass

    def enough(done, total):
        raise Enough

    with pytest.raises(Enough):
        next(up.stream([photo], deadline=deadline, progress=enough))


def test_stream_takes_several_images_and_refuses_one(up, photo, tmp_path):
    """A single array's rows, or a path's letters, would be taken for images."""
    Image.fromarray(photo).save(tmp_path / "photo.png")
    alone = [
        photo,
        photo[..., 0],
        photo[0],
        Image.fromarray(photo),
        str(tmp_path / "photo.png"),
        tmp_path / "photo.png",
    ]
    for given in [*alone, b"photo.png", io.BytesIO(), None, 5]:
        with pytest.raises(FastsrError, match=r"is not several images; hand in a list or an iterator"):
            up.stream(given)
    batch = np.stack([photo, photo[::-1]])
    for made, frame in zip(up.stream(batch), batch, strict=True):
        np.testing.assert_array_equal(made, up.upscale(frame))


def test_stream_takes_a_batch_of_tensors_and_refuses_one_tensor(up):
    torch = pytest.importorskip("torch")
    batch = torch.arange(2 * 3 * 8 * 8, dtype=torch.uint8).reshape(2, 3, 8, 8)
    with pytest.raises(FastsrError, match=r"Tensor of shape \(3, 8, 8\) is not several images"):
        up.stream(batch[0])
    assert all(torch.equal(made, up.upscale(frame)) for made, frame in zip(up.stream(batch), batch, strict=True))


def written_on(page, places):
    """Pages one after the other, each with one more place that is written on."""
    yield page
    for row, column in places:
        page = page.copy()
        page[row : row + 6, column : column + 9] //= 2
        yield page
        yield page


@pytest.mark.parametrize("size", [{}, {"scale": 1.5}, {"size": (101, 55)}, {"scale": 3}])
@pytest.mark.parametrize(
    "kind",
    [
        np.asarray,
        Image.fromarray,
        lambda page: page[..., :1],
        lambda page: page.astype(np.uint16) * 200,
        lambda page: page.astype(np.float32) / np.float32(255),
        lambda page: np.dstack([page, page[..., :1]]),
    ],
    ids=["array", "pillow", "gray", "uint16", "float", "alpha"],
)
def test_streams_make_of_frames_with_much_in_common_what_single_calls_make(up, photo, kind, size):
    pages = [kind(page) for page in written_on(np.tile(photo, (3, 3, 1)), [(5, 7), (80, 120), (40, 60)])]
    for made, page in zip(up.stream(pages, **size), pages, strict=True):
        assert type(made) is type(page)
        np.testing.assert_array_equal(np.asarray(made), np.asarray(up.upscale(page, **size)))


def test_streams_in_int8_make_deep_pixels_in_fp32(photo):
    fast = fastsr.load("fast-x2", device="cpu", precision="int8")
    for page in (photo, photo.astype(np.uint16) * 250):
        pages = list(written_on(page, [(5, 7), (20, 30)]))
        for made, single in zip(fast.stream(pages), pages, strict=True):
            np.testing.assert_array_equal(made, fast.upscale(single))


@pytest.mark.parametrize("options", [{}, {"scale": 3}])
def test_what_a_stream_hands_out_is_the_callers(up, photo, options):
    pages = list(written_on(np.tile(photo, (3, 3, 1)), [(5, 7), (80, 120)]))
    for made, page in zip(up.stream((page.copy() for page in pages), **options), pages, strict=True):
        np.testing.assert_array_equal(made, up.upscale(page, **options))
        made[...] = 0


@pytest.mark.parametrize("options", [{}, {"precision": "int8"}, {"tile": 64}, {"engine": "onnxruntime"}])
def test_an_upscaler_can_be_pickled(photo, options):
    up = fastsr.load("fast-x2", device="cpu", **options)
    again = pickle.loads(pickle.dumps(up))
    assert (again.fingerprint, repr(again)) == (up.fingerprint, repr(up))
    np.testing.assert_array_equal(again.upscale(photo), up.upscale(photo))
    assert pickle.loads(pickle.dumps(up)) is again  # loaded once for all that a pool hands over


def test_what_pickling_needs_is_kept(model, photo, tmp_path, monkeypatch):
    faces = fastsr.load("srgan-x4", realism=0.25, device="cpu")
    assert pickle.loads(pickle.dumps(faces)).fingerprint == faces.fingerprint
    assert pickle.loads(pickle.dumps(fastsr.load("lanczos"))).name == "lanczos"
    monkeypatch.chdir(model.parent)
    kept = pickle.dumps(fastsr.load(model.name))
    monkeypatch.chdir(tmp_path)  # a relative path was meant from elsewhere
    np.testing.assert_array_equal(pickle.loads(kept).upscale(photo), fastsr.load(model).upscale(photo))


def test_a_process_pool_upscales(up, photo):
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
        for made, frame in zip(pool.map(up.upscale, [photo, photo[::-1]]), [photo, photo[::-1]], strict=True):
            np.testing.assert_array_equal(made, up.upscale(frame))


def test_one_upscaler_from_many_threads(up, photo):
    expected = up.upscale(photo)
    made = []
    threads = [threading.Thread(target=lambda: made.append(up.upscale(photo))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 6
    for each in made:
        np.testing.assert_array_equal(each, expected)


@pytest.mark.parametrize("opaque", [True, False])
def test_progress_ends_at_its_total(model, photo, opaque):
    seen = []
    rgba = np.dstack([photo, np.full_like(photo[..., 0], 255) if opaque else photo[..., 0]])
    fastsr.load(model, tile=20).upscale(rgba, progress=lambda done, total: seen.append((done, total)))
    check_progress(seen)


@pytest.mark.parametrize("method", catalog.INTERPOLATIONS)
def test_interpolations_are_models(photo, method):
    up = fastsr.load(method)
    made = up.upscale(Image.fromarray(photo), scale=3)
    expected = Image.fromarray(photo).resize((132, 90), Image.Resampling[method.upper()])
    assert np.abs(np.asarray(made).astype(int) - np.asarray(expected).astype(int)).max() <= 1
    assert up.upscale(photo).shape == (120, 176, 3)


# ---- alpha ----------------------------------------------------------------------------------------------------------

SPRITE_COLOUR = (230, 60, 20)


def sprite(hidden):
    """A disc with a hard edge on nothing; transparent pixels hold a colour that must never be seen."""
    y, x = np.mgrid[0:48, 0:48]
    inside = (y - 24) ** 2 + (x - 23) ** 2 < 15**2
    out = np.zeros((48, 48, 4), np.uint8)
    out[...] = (*hidden, 0)
    out[inside] = (*SPRITE_COLOUR, 255)
    return out


@pytest.mark.parametrize("hidden", [(0, 0, 0), (255, 255, 255), (0, 255, 0)])
@pytest.mark.parametrize("name", ["bicubic", *catalog.models()])
def test_alpha_has_no_fringe(name, hidden):
    made = fastsr.load(name).upscale(sprite(hidden)).astype(float)
    alpha = made[..., 3:] / 255
    assert alpha.max() > 0.99
    assert alpha.min() == 0
    # On a backdrop of its own colour a sprite without a fringe disappears.
    backdrop = np.array(SPRITE_COLOUR, float)
    shown = made[..., :3] * alpha + backdrop * (1 - alpha)
    assert np.abs(shown - backdrop).max() <= 2
    # What was hidden stays hidden: the result does not depend on it.
    np.testing.assert_array_equal(made, fastsr.load(name).upscale(sprite((9, 9, 9))).astype(float))


@pytest.mark.parametrize("name", catalog.models())
def test_int8_keeps_flat_colours(name):
    """Asked for, on the image that it was once 4 levels off in, and in other colours."""
    exact, asked = (fastsr.load(name, device="cpu", precision=precision) for precision in ("fp32", "int8"))
    assert asked.precision == "int8"
    for colour in (SPRITE_COLOUR, (20, 60, 230), (90, 90, 90), (255, 255, 255), (0, 0, 0), (200, 180, 40)):
        flat = np.full((48, 48, 3), colour, np.uint8)
        inside = slice(8 * exact.scale, -8 * exact.scale)
        made, expected = (up.upscale(flat).astype(int)[inside, inside] for up in (asked, exact))
        assert np.abs(made - expected).max() <= 1, colour


def test_bleed_keeps_what_is_visible_and_ignores_what_is_not():
    random = np.random.default_rng(0)
    color = random.random((37, 50, 3), dtype=np.float32)
    alpha = (random.random((37, 50, 1)) < 0.3).astype(np.float32)
    filled = bleed(color, alpha)
    np.testing.assert_array_equal(np.where(alpha == 1, filled, 0), np.where(alpha == 1, color, 0))
    np.testing.assert_array_equal(bleed(np.where(alpha == 1, color, 0.123).astype(np.float32), alpha), filled)
    visible = color[alpha[..., 0] == 1]
    assert filled.min() >= visible.min() - 1e-5
    assert filled.max() <= visible.max() + 1e-5
    assert not bleed(color, np.zeros_like(alpha)).any()


def test_bleed_takes_the_nearest_colours():
    """Left half red, right half blue, with a transparent band: each side of the band takes its neighbour's colour."""
    color = np.zeros((16, 32, 3), np.float32)
    color[:, :16, 0], color[:, 16:, 2] = 1, 1
    alpha = np.ones((16, 32, 1), np.float32)
    alpha[:, 12:20] = 0
    filled = bleed(color, alpha)
    assert filled[8, 12, 0] > 0.7
    assert filled[8, 19, 2] > 0.7
    assert bleed(np.ones((1, 1, 1), np.float32), np.full((1, 1, 1), 0.25, np.float32)).item() == 1


def test_opaque_alpha_changes_nothing(up, photo):
    rgba = np.dstack([photo, np.full(photo.shape[:2], 255, np.uint8)])
    made = up.upscale(rgba)
    np.testing.assert_array_equal(made[..., :3], up.upscale(photo))
    assert (made[..., 3] == 255).all()


# ---- the shipped models ---------------------------------------------------------------------------------------------


def test_unknown_model_suggests_near_names(photo):
    with pytest.raises(ModelError, match=r"unknown model 'bicubc': did you mean bicubic"):
        fastsr.upscale(photo, model="bicubc")
    with pytest.raises(ModelError, match=r"did you mean fast-x4"):
        fastsr.load("fast_x4")
    with pytest.raises(ModelError, match="no such model file"):
        fastsr.load("nowhere/own.onnx")
    for nothing in (None, 5, ["fast-x4"]):
        with pytest.raises(ModelError, match=r"is neither a name nor a path; known: fast-x4, .*lanczos"):
            fastsr.load(nothing)


@pytest.mark.parametrize(
    ("scale", "name"), [(1.5, "fast-x2"), (2, "fast-x2"), (2.1, "photo-x4"), (4, "photo-x4"), (9, "photo-x4")]
)
def test_the_default_model_fits_the_scale(photo, scale, name):
    assert catalog.default(scale) == name
    made = fastsr.upscale(photo, scale=scale)
    np.testing.assert_array_equal(made, fastsr.load(name).upscale(photo, scale=scale))


def test_upscale_makes_four_times_by_default(photo):
    assert fastsr.upscale(photo).shape == (120, 176, 3)
    assert fastsr.upscale(Image.fromarray(photo), size=(50, 50)).size == (50, 50)


def test_upscale_takes_what_load_takes(photo, model):
    seen = []
    made = fastsr.upscale(
        photo, model=model, device="cpu", engine="onnxruntime", tile=24, progress=lambda *count: seen.append(count)
    )
    np.testing.assert_array_equal(made, fastsr.load(model, engine="onnxruntime").upscale(photo))
    check_progress(seen)
    assert seen[-1][1] > 1  # in tiles
    with pytest.raises(EngineError, match="unknown engine 'ncnn'"):
        fastsr.upscale(photo, model=model, engine="ncnn")
    with pytest.raises(EngineError, match="too small"):
        fastsr.upscale(photo, model=model, tile=2)


def test_choices_are_literals():
    """As type checkers see them; what is chosen at run time is the same."""
    for function in (fastsr.load, fastsr.upscale, fastsr.upscale_video):
        hints = typing.get_type_hints(function, function.__globals__ | {"Image": Image})
        assert typing.get_args(hints["device"]) == DEVICES
        assert typing.get_args(hints["precision"]) == PRECISIONS
        assert typing.get_args(hints["engine"]) == ("auto", *REGISTRY, *FORMER_NAMES)


TYPED = """
import numpy as np, numpy.typing as npt, PIL.Image, fastsr
from typing import Any
class Tensor:  # as PyTorch's
    is_cuda: bool
    def permute(self, *dims: Any) -> Any: ...
a: npt.NDArray[np.uint8]
i: PIL.Image.Image
up = fastsr.load()
reveal_type(fastsr.upscale(a))
reveal_type(up.upscale(a))
reveal_type(fastsr.upscale(i))
reveal_type(fastsr.upscale("x"))
reveal_type(up.upscale(Tensor()))
fastsr.load(precision="fp8")
fastsr.upscale("photo.jpg").save("large.png")
"""


@pytest.mark.slow
def test_the_kind_that_comes_back_is_known_to_type_checkers(tmp_path):
    mypy = pytest.importorskip("mypy.api", reason="mypy is not installed")
    (tmp_path / "typed.py").write_text(TYPED)
    text, _, _ = mypy.run(["--config-file=", "--no-error-summary", str(tmp_path / "typed.py")])
    kinds = [line.split('"')[1] for line in text.splitlines() if "Revealed" in line]
    assert ["_8Bit" in k or "uint8" in k for k in kinds] == [True, True, False, False, False]
    assert [k.startswith("PIL.Image.Image") for k in kinds] == [False, False, True, True, False]
    assert kinds[4].endswith("Tensor")
    assert [
        line for line in text.splitlines() if "error" in line and "fp8" not in line and "precision" not in line
    ] == []
    assert text.count("error") == 1


def test_a_model_exported_anew_is_loaded_anew(photo, tmp_path):
    path = compact(2, seed=1).save(tmp_path / "own.onnx")
    first = fastsr.upscale(photo, model=path)
    np.testing.assert_array_equal(first, fastsr.upscale(photo, model=path))
    compact(2, seed=2).save(path)
    np.testing.assert_array_equal(fastsr.upscale(photo, model=path), fastsr.load(path).upscale(photo))
    assert (fastsr.upscale(photo, model=path) != first).any()


def test_upscale_reads_bytes(photo):
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "PNG")
    file.seek(0)
    np.testing.assert_array_equal(np.asarray(fastsr.upscale(file)), fastsr.upscale(photo))


@pytest.mark.parametrize("name", catalog.models())
def test_shipped_models_keep_colour_and_beat_bicubic(name):
    """A known image, down and up again: closer to the truth than bicubic, and no colour cast.

    An adversarial generator, whose texture is its own, need not be closer by much, and may drift by a level.
    """
    card = catalog.models()[name]
    with Image.open(SAMPLE) as image:
        high = image.convert("RGB").crop((0, 0, image.width // 4 * 4, image.height // 4 * 4))
    low = high.resize((high.width // card.scale, high.height // card.scale), Image.Resampling.BICUBIC)
    made = fastsr.load(name).upscale(low)

    def error(image):
        return float(((np.asarray(image, float) - np.asarray(high, float)) ** 2).mean())

    share, level = (1.0, 1.0) if card.fidelity or card.damaged else (0.9, 0.5)  # adversarial ones draw texture
    assert error(made) < share * error(low.resize(high.size, Image.Resampling.BICUBIC))
    drift = np.asarray(made, float).mean(axis=(0, 1)) - np.asarray(low, float).mean(axis=(0, 1))
    assert np.abs(drift).max() < level


@pytest.mark.parametrize("name", catalog.models())
def test_cards_are_complete_and_match_the_file(name):
    from fastsr.network import onnx_reader

    card = catalog.models()[name]
    network = onnx_reader.read(card.path)
    assert network.scale == card.scale
    assert network.metadata["training"] == card.training
    assert card.licence
    assert card.summary
    for values in card.scores.values():
        assert values["psnr"] > 25


def test_models_lists_what_ships():
    names = ["fast-x4", "fast-x2", "live-x4", "live-x2", "srresnet-x4", "srgan-x4", "photo-x4", "faces-x4"]
    assert list(fastsr.models()) == names
