"""Calibration: ranges against brute force and against what the tensors really hold; what is written; refusals."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image
from support.small_models import MODELS, SAMPLE, Builder, compact, srresnet

import fastsr
from fastsr import _core
from fastsr.engines.native import engine
from fastsr.engines.onnxruntime import OnnxRuntimeEngine
from fastsr.errors import ModelError
from fastsr.network import catalog, onnx_reader, quantization
from training.data import synthetic_images
from training.data.image_folders import DataError, find_images
from training.measure.precision_cost import PrecisionCost
from training.release import int8_calibration
from training.release.int8_calibration import affordable, best_range, between, by_cost, calibrate


def error(values, low, high):
    """Sum of cubed errors of rounding to 256 values over a range, by definition."""
    step = (high - low) / 255
    nearest = low + np.rint((np.clip(values, low, high) - low) / step) * step
    return float((np.abs(nearest - values) ** 3).sum())


def histogram(values):
    least, most = min(0.0, values.min()), max(0.0, values.max())
    return np.histogram(values, int8_calibration.BINS, (least, most))[0], least, most


def laplace(count=200_000, seed=0):
    return np.random.default_rng(seed).laplace(0, 1, count)


def test_long_tails_are_clipped_as_far_as_it_pays():
    values = laplace()
    counts, least, most = histogram(values)
    low, high = best_range(counts, least, most)
    made = error(values, low, high)
    assert made < 0.95 * error(values, least, most)
    assert least < low < high < most
    shares = np.linspace(0.3, 1, 29)
    assert made < 1.03 * min(error(values, least * a, most * b) for a in shares for b in shares)


def test_even_values_keep_their_range():
    values = np.random.default_rng(0).uniform(-1, 3, 100_000)
    low, high = best_range(*histogram(values))
    assert low == pytest.approx(-1, abs=0.05)
    assert high == pytest.approx(3, abs=0.05)


@pytest.mark.parametrize("values", [laplace(), np.abs(laplace()), -np.abs(laplace()), laplace() + 3])
def test_zero_is_represented_exactly(values):
    low, high = best_range(*histogram(values))
    step = (high - low) / 255
    assert low <= 0 <= high
    assert low / step == pytest.approx(round(low / step), abs=1e-9)
    if values.min() >= 0:
        assert low == 0
    if values.max() <= 0:
        assert high == 0


def test_a_tensor_of_zeros_has_a_range():
    assert best_range(*histogram(np.zeros(9))) == (0.0, 1.0)


def tensors_of(path, names, images):
    """What the float model makes of whole images."""
    model = onnx.load_model(str(path))
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    runs = [
        session.run(names, {"input": (np.asarray(p).transpose(2, 0, 1)[None] / 255).astype(np.float32)}) for p in images
    ]
    return {name: np.concatenate([run[i].ravel() for run in runs]) for i, name in enumerate(names)}


@pytest.mark.parametrize("make", [lambda: compact(2), lambda: srresnet(4)])
def test_ranges_are_those_of_the_tensors(make, photos, tmp_path):
    path = make().save(tmp_path / "m.onnx")
    network = onnx_reader.read(path)
    files = sorted(photos.iterdir())
    ranges = calibrate(path, files).ranges("photographs")
    assert list(ranges) == list(dict.fromkeys(node.inputs[0] for node in network.nodes if node.op == "Conv"))
    assert ranges.pop("input") == (0.0, 1.0)
    side = 128 // network.scale
    small = [Image.open(f).convert("RGB").resize((side, side), Image.Resampling.BICUBIC) for f in files]
    for name, values in tensors_of(path, list(ranges), small).items():
        low, high = ranges[name]
        slack = 0.51 * (high - low) / 255
        assert min(values.min(), 0) - slack <= low
        assert high <= max(values.max(), 0) + slack
        best, full = error(values, low, high), error(values, min(values.min(), 0), max(values.max(), 0))
        assert best <= 1.02 * full
        assert low <= np.quantile(values, 0.01)
        assert np.quantile(values, 0.99) <= high


def test_large_images_go_through_in_windows(tmp_path, monkeypatch):
    """Borders of windows are not the image's, so only the ranges' ends may differ a little."""
    path = compact(2).save(tmp_path / "m.onnx")
    with Image.open(SAMPLE) as image:
        image.crop((0, 0, 300, 200)).save(tmp_path / "large.png")
    seen = []
    real = int8_calibration.Watched.forward
    monkeypatch.setattr(int8_calibration.Watched, "forward", lambda self, x: (seen.append(x.shape), real(self, x))[1])
    for kind in ("_text", "_smooth"):
        monkeypatch.setattr(int8_calibration, kind, lambda network: [np.zeros((16, 16, 3), np.uint8)])
    cut = calibrate(path, [tmp_path / "large.png"], low=True).ranges("photographs")
    assert len(seen) == 2 * (2 * 3 + 2)
    assert max(max(shape[2:]) for shape in seen) <= int8_calibration.TILE
    monkeypatch.setattr(int8_calibration, "TILE", 512)
    whole = calibrate(path, [tmp_path / "large.png"], low=True).ranges("photographs")
    assert len(seen) == 2 * (2 * 3 + 2) + 2 * (1 + 2)
    for name in whole:
        np.testing.assert_allclose(cut[name], whole[name], atol=0.1 * np.ptp(whole[name]))


def test_images_are_spread_over_the_folder(photos, tmp_path, monkeypatch):
    seen = []
    real = int8_calibration.low_resolution
    monkeypatch.setattr(
        int8_calibration, "low_resolution", lambda high, scale: (seen.append(high.size), real(high, scale))[1]
    )
    files = []
    for i in range(10):
        files.append(tmp_path / f"{i}.png")
        Image.new("RGB", (20 + i, 20)).save(files[-1])
    calibrate(compact(2).save(tmp_path / "m.onnx"), files, count=3)
    small = [width for width, _ in seen if width < 30]  # the drawn pages are larger
    assert small == [20, 23, 26] * 2


def test_gray_models_and_models_of_one_size(photos, tmp_path):
    gray = compact(2, inputs=1).save(tmp_path / "gray.onnx")
    assert calibrate(gray, photos.iterdir()).ranges().keys() == {"input", "PRelu1", "PRelu3", "PRelu5"}
    fixed = compact(2).save(tmp_path / "fixed.onnx", height=32, width=48)
    free = compact(2).save(tmp_path / "free.onnx")
    made, expected = (calibrate(path, sorted(photos.iterdir())).ranges("photographs") for path in (fixed, free))
    for name in expected:
        np.testing.assert_allclose(made[name], expected[name], atol=0.1 * np.ptp(expected[name]))


@pytest.mark.parametrize("name", ["compact-x4", "srresnet-x4", "deconvolved-x4"])
def test_one_file_serves_every_precision(name, photos, tmp_path):
    path = MODELS[name]().save(tmp_path / "m.onnx", metadata={"name": "plates", "licence": "mine"})
    before = onnx.load_model(str(path))
    pixels = np.asarray(Image.open(next(photos.iterdir())).convert("RGB"))[:48, :48]
    exact = fastsr.load(path, engine="onnxruntime").upscale(pixels)
    ranges = int8_calibration.quantize(str(path), [photos])
    after = onnx.load_model(str(path))
    assert after.graph == before.graph
    network = onnx_reader.read(path)
    assert network.ranges == ranges
    assert {**network.metadata, "ranges": ""} == {"name": "plates", "licence": "mine", "ranges": ""}
    np.testing.assert_array_equal(fastsr.load(path, engine="onnxruntime").upscale(pixels), exact)
    # Past the probe, whose image is not of the kind that such a network of chance was calibrated on.
    rounded = OnnxRuntimeEngine(network, "int8", None).run(pixels)
    assert 0 < np.abs(rounded.astype(int) - exact).mean() < 1.5
    assert int8_calibration.quantize(str(path), [photos]) == ranges  # again gives the same


def test_calibrated_beats_careless_ranges(photos, tmp_path):
    path = compact(2, depth=4).save(tmp_path / "m.onnx")
    ranges = int8_calibration.quantize(str(path), [photos], tmp_path / "good.onnx")
    assert "ranges" not in onnx_reader.read(path).metadata
    wide = {name: (4 * low, 4 * high) for name, (low, high) in ranges.items()}
    compact(2, depth=4).save(tmp_path / "wide.onnx", metadata={"ranges": json.dumps(wide)})
    pixels = np.asarray(Image.open(next(photos.iterdir())).convert("RGB"), np.float32)[:48, :48] / 255
    exact = fastsr.load(path, engine="onnxruntime").upscale(pixels)
    good, bad = (
        np.square(fastsr.load(tmp_path / f"{n}.onnx", precision="int8").upscale(pixels) - exact).mean()
        for n in ("good", "wide")
    )
    assert good < bad / 4


def test_refusals_name_the_file(photos, tmp_path):
    path = compact(2).save(tmp_path / "m.onnx")
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    Image.new("RGB", (1, 9)).save(tmp_path / "thin.png")
    with pytest.raises(DataError, match=r"torn\.png: cannot be read as an image .* take it out"):
        calibrate(path, [tmp_path / "torn.png"])
    with pytest.raises(DataError, match=r"thin\.png: is too small to be made 2 times smaller"):
        calibrate(path, [tmp_path / "thin.png"])
    with pytest.raises(DataError, match="at least 1"):
        calibrate(path, photos.iterdir(), count=0)
    with pytest.raises(ModelError, match=r"up\.onnx: has no int8 form"):
        calibrate(Builder().transposed(3).save(tmp_path / "up.onnx"), photos.iterdir())
    with pytest.raises(ModelError, match="unknown model 'fast-x9'"):
        int8_calibration.quantize("fast-x9", [photos])


@pytest.fixture(scope="module")
def losses(photos):
    """Of fast-x2."""
    network = onnx_reader.read(catalog.find("fast-x2"))
    exact = engine.NativeEngine(network, "fp32", None).run
    return PrecisionCost(
        network, exact, synthetic_images.CALIBRATED, int8_calibration._crops(find_images([photos]), network)
    )


def test_what_costs_too_much_stays_float(losses):
    """A range that is far too wide leaves a tensor two values; it is the first to go, and no other follows."""
    read = onnx_reader.read(catalog.find("fast-x2"))
    spoiled = list(read.ranges)[4]
    bad = read.ranges | {spoiled: (-100.0, 100.0)}
    order = by_cost(read, bad, losses)
    assert order[-1] == (spoiled,)
    assert affordable(read, read.ranges, order, losses, 1.0) == read.ranges
    assert affordable(read, bad, order, losses, 1.0).keys() == read.ranges.keys() - {spoiled}
    assert affordable(read, bad, order, losses, 99.0).keys() == read.ranges.keys() - {spoiled}  # refused by the probe
    assert len(affordable(read, bad, order, losses, -9.0)) == 1  # cannot be had: all go but the cheapest


def test_flat_colours_and_text_have_a_say(losses):
    """Ranges of half the size fray text and leave photographs alone; wide ones turn flat colours."""
    read = onnx_reader.read(catalog.find("fast-x2"))
    order = by_cost(read, read.ranges, losses)

    def scaled(factor):
        ends = {name: (factor * low, factor * high) for name, (low, high) in read.ranges.items() if name != "input"}
        ranges = {"input": (0.0, 1.0), **ends}
        run = engine.NativeEngine(int8_calibration._with_ranges(read, ranges), "int8", None).run
        return ranges, losses.costs(run), losses.flat_error(run)

    narrow, costs, _ = scaled(0.6)
    assert costs["text"] > 0.1
    assert len(affordable(read, narrow, order, losses, 0.1)) < len(narrow)
    wide, _, flat = scaled(8)
    assert flat > catalog.MAX_FLAT_ERROR
    assert len(affordable(read, wide, order, losses, 99.0)) < len(wide)


def test_ranges_of_all_kinds_hold_text(photos, tmp_path):
    found = calibrate(compact(2).save(tmp_path / "m.onnx"), sorted(photos.iterdir()))
    few, many = found.ranges("photographs"), found.ranges()
    assert list(found.counts) == ["photographs", "text", "flat"]
    for counts in found.counts.values():
        assert all(np.isclose(c.sum(), 1) for c in counts.values())
    assert sum(high for _, high in many.values()) > 1.1 * sum(high for _, high in few.values())
    half = between(few, many, 0.5)
    for name, (low, high) in half.items():
        assert np.isclose(high**2, few[name][1] * many[name][1])
        assert min(few[name][0], many[name][0]) - 1e-9 <= low <= max(few[name][0], many[name][0]) + 1e-9
    assert between(few, many, 0) == few
    assert between({"a": (0.0, 1.0)}, {"a": (-2.0, 4.0)}, 0.5) == {"a": (-1.0, 2.0)}


# ---- what the cards of the shipped models say -----------------------------------------------------------------------


def test_synthetic_images_are_the_same_for_a_seed():
    for seed in (synthetic_images.MEASURED, synthetic_images.CALIBRATED):
        first, again = synthetic_images.pages(seed), synthetic_images.pages(seed)
        assert all(a.tobytes() == b.tobytes() for k in first for a, b in zip(first[k], again[k], strict=True))
    measured, calibrated = (
        synthetic_images.pages(synthetic_images.MEASURED),
        synthetic_images.pages(synthetic_images.CALIBRATED),
    )
    assert list(measured) == ["black on white", "white on black", "coloured"]
    assert all(a.tobytes() != b.tobytes() for k in measured for a, b in zip(measured[k], calibrated[k], strict=True))
    assert (
        len(set(synthetic_images.flats(synthetic_images.MEASURED)))
        == len(synthetic_images.flats(synthetic_images.CALIBRATED))
        == synthetic_images.FLATS
    )
    for low, high in synthetic_images.ramps(4):
        assert (low.shape, high.shape, low.dtype) == ((64, 64, 3), (256, 256, 3), np.uint16)
        assert len(np.unique(high[..., 0])) == 256  # no two columns alike


@pytest.mark.parametrize("name", catalog.models())
def test_cards_say_what_int8_and_bf16_cost(name):
    """Text, ramps and flat colours measured again; and what they leave of "auto" for video."""
    card, network = catalog.models()[name], onnx_reader.read(catalog.find(name))
    losses = PrecisionCost(network, engine.NativeEngine(network, "fp32", None).run, synthetic_images.MEASURED)
    for precision in ("int8", "bf16"):
        assert card.precision_cost[precision].keys() == catalog.KINDS
        bounded = max(card.precision_cost[precision].values()) < 0.05 and card.flat_error[precision] <= 1
        assert card.proves(precision) == bounded
        if precision not in engine.precisions():
            continue
        run = engine.NativeEngine(network, precision, None).run
        costs = losses.costs(run)
        assert costs["text"] == pytest.approx(card.precision_cost[precision]["text"], abs=0.02)
        assert costs["ramps"] == pytest.approx(card.precision_cost[precision]["ramps"], abs=0.3)
        assert losses.flat_error(run) == card.flat_error[precision]
    assert card.flat_error["int8"] <= 1


@pytest.mark.parametrize("isa", sorted(engine.FASTER))
@pytest.mark.parametrize("name", catalog.models())
def test_video_gets_nothing_that_its_card_does_not_prove(name, isa, monkeypatch):
    monkeypatch.setattr(_core, "active_isa", lambda: isa)
    card = catalog.models()[name]
    taken = engine.video_precision(onnx_reader.read(card.path))
    assert taken == "fp32" or (max(card.precision_cost[taken].values()) < 0.05 and card.flat_error[taken] <= 1)


def test_blocks_of_pixels_have_the_range_of_pixels(photos, tmp_path):
    """A folded network's first convolution reads them, and none reads the input."""
    path = Builder(seed=2).unshuffle(2).conv(8).prelu().conv(48).shuffle(4).save(tmp_path / "folded.onnx")
    ranges = int8_calibration.quantize(str(path), [photos], budget=100.0, flat=255)
    assert set(ranges) <= set(quantization.inputs(onnx_reader.read(path)))
    found = calibrate(path, find_images([photos]), 2).ranges()
    assert found[quantization.inputs(onnx_reader.read(path))[0]] == (0.0, 1.0)
