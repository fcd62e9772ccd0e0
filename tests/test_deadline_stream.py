"""Frames with a deadline: which way makes each, with a clock that only moves when work is done."""

import itertools
import time

import numpy as np
import pytest
from support.small_models import compact

import fastsr
from fastsr.deadline_stream import LONGEST_REST, MOST_BEHIND, REST, DeadlineStream, Rung
from fastsr.engines.native.reuse import ReusingEngine
from fastsr.errors import FastsrError
from fastsr.images import resample
from fastsr.network import catalog, heaviness
from fastsr.upscaler import Upscaler


class Clock:
    """Seconds in thousandths, so that sums are exact."""

    def __init__(self):
        self.now = 0

    def __call__(self):
        return self.now


def ladder(clock, times):
    """Rungs that take what `times` gives for them: name -> iterator of times; each gives back its name."""

    def rung(name):
        def make(frame):
            clock.now += next(times[name])
            return name

        return Rung(name, make)

    return [rung(name) for name in times]


def camera(clock, interval, count):
    """A frame at each interval, kept ready for whoever asks late."""
    for number in range(count):
        clock.now = max(clock.now, number * interval)
        yield number


def steady(**times):
    return {name: itertools.repeat(time) for name, time in times.items()}


def run(times, interval=40, count=200, deadline=40, source=camera):
    clock = Clock()
    stream = DeadlineStream(source(clock, interval, count), ladder(clock, times), deadline, clock=clock)
    return list(stream), stream, clock


def test_a_model_that_is_quick_enough_makes_all():
    made, stream, _ = run(steady(model=38, light=20, bicubic=5))
    assert made == ["model"] * 200
    assert (stream.made_by, stream.late) == ({"model": 200, "light": 0, "bicubic": 0}, 0)


def test_one_that_is_too_slow_is_found_out_once():
    made, stream, clock = run(steady(model=5000, light=30, bicubic=5))
    assert made[0] == "model"
    assert stream.made_by["model"] == 1
    assert stream.made_by["light"] > 180  # bicubic makes up for the delay of the first
    assert made[-100:] == ["light"] * 100
    assert clock.now - 5000 < 200 * 40


def test_what_is_hardly_too_slow_is_not_tried_again():
    """Its fastest time does not fit, so that there is nothing to hope for."""
    made, stream, _ = run(steady(model=50, light=30, bicubic=5), count=2000)
    assert made[:2] == ["model", "model"]  # the first time counts half
    assert stream.made_by["model"] == 2
    assert stream.late == 3  # these, and the first of the next rung, which nobody had measured


def test_the_first_use_may_be_slow():
    times = steady(bicubic=5) | {"model": itertools.chain([70], itertools.repeat(30))}
    made, stream, _ = run({"model": times["model"], "bicubic": times["bicubic"]})
    assert stream.made_by["model"] > 190
    assert made[-150:] == ["model"] * 150


def test_one_hiccup_costs_no_more_than_its_delay():
    times = {"model": itertools.chain([20] * 50, [90], itertools.repeat(20)), "bicubic": itertools.repeat(5)}
    made, stream, _ = run(times)
    assert 1 <= stream.made_by["bicubic"] <= 3
    assert made[60:] == ["model"] * 140


def test_a_load_that_goes_is_noticed():
    times = {"model": itertools.chain([20] * 50, [70] * 3, itertools.repeat(20)), "bicubic": itertools.repeat(5)}
    made, _, _ = run(times, count=400)
    assert "bicubic" in made[50:80]
    assert made[-200:] == ["model"] * 200


def test_a_load_that_stays_is_looked_for_ever_more_seldom():
    """So that few frames are late."""
    times = {"model": itertools.chain([20] * 50, itertools.repeat(70)), "bicubic": itertools.repeat(5)}
    made, stream, _ = run(times, count=4000)
    tried = [index for index, name in enumerate(made) if name == "model"][-5:]
    gaps = [after - before for before, after in itertools.pairwise(tried)]
    assert gaps == sorted(gaps)
    assert gaps[-1] > LONGEST_REST // 2 > REST
    assert stream.late < 30


def test_delay_is_made_up_for():
    """The camera kept frames ready: over all, as many are made as come."""
    times = {"model": itertools.chain([20] * 10, [150], itertools.repeat(20)), "bicubic": itertools.repeat(5)}
    _, stream, clock = run(times, count=60)
    assert clock.now <= 60 * 40
    assert 0 < stream.late < 10


def test_only_so_much_delay_is_made_up_for():
    """A pause of hours is not followed by hours of interpolation."""
    times = {"model": itertools.chain([20] * 10, [10**6], itertools.repeat(20)), "bicubic": itertools.repeat(5)}
    made, stream, _ = run(times, count=100, source=lambda clock, interval, count: iter(range(count)))
    assert stream.made_by["bicubic"] <= MOST_BEHIND * 40 / (40 - 5) + 1
    assert made[-50:] == ["model"] * 50


def test_even_the_quickest_may_be_too_slow():
    _, stream, _ = run(steady(model=900, bicubic=60), count=50)
    assert stream.made_by == {"model": 1, "bicubic": 49}
    assert stream.late == 50


def test_the_lightest_need_not_be_the_quickest():
    """Interpolation on one core against a model on many."""
    made, _, _ = run(steady(model=50, light=45, bicubic=80), count=50)
    assert made[-20:] == ["light"] * 20


def test_time_of_the_consumer_is_not_counted():
    clock = Clock()
    stream = DeadlineStream(range(50), ladder(clock, steady(model=30, bicubic=5)), 40, clock=clock)
    for name in stream:
        clock.now += 1000  # a player that is paused
        assert name == "model"
    assert stream.late == 0


def test_frames_that_have_waited_have_less_time():
    clock, waited = Clock(), itertools.chain([0, 0, 0, 15, 100], itertools.repeat(0))
    rungs = ladder(clock, steady(model=30, light=20, bicubic=5))
    stream = DeadlineStream(range(8), rungs, 40, lambda: clock.now - next(waited), clock)
    assert list(stream) == ["model"] * 3 + ["light", "bicubic"] + ["model"] * 3
    assert stream.late == 1


def test_frames_are_taken_one_by_one():
    clock, taken = Clock(), []
    frames = (taken.append(number) or number for number in range(5))
    for count, _ in enumerate(DeadlineStream(frames, ladder(clock, steady(model=1)), 40, clock=clock), 1):
        assert len(taken) == count


@pytest.mark.parametrize("deadline", [0, -1, float("nan"), float("inf"), "soon", True])
def test_a_deadline_is_a_time(deadline):
    with pytest.raises(FastsrError, match=r"deadline .* is not a number of seconds above 0"):
        fastsr.load("bicubic").stream([], deadline=deadline)


@pytest.fixture
def photo():
    y, x = np.mgrid[0:30, 0:44]
    return np.stack([127 + 100 * np.sin(x / a + y / b) for a, b in ((3, 7), (5, 4), (9, 2))], -1).astype(np.uint8)


def test_with_time_enough_results_are_those_of_upscale(photo):
    up = fastsr.load("fast-x2")
    stream = up.stream([photo, photo[:20]], deadline=1000)
    for made, frame in zip(stream, (photo, photo[:20]), strict=True):
        np.testing.assert_array_equal(made, up.upscale(frame))
    assert (stream.made_by["fast-x2"], stream.late) == (2, 0)


class Slow:
    """A network that takes far longer than interpolation does, however busy the machine is."""

    scale = 2

    def enlarge(self, pixels, size, progress):
        time.sleep(2)
        return np.zeros((size[1], size[0], pixels.shape[2]), pixels.dtype)


def test_what_has_not_changed_is_not_made_again(photo, monkeypatch):
    """As in other streams: each rung looks at the frame that it made before."""
    given = []
    real = ReusingEngine.run
    monkeypatch.setattr(
        ReusingEngine, "run", lambda engine, pixels, *more: given.append(1) or real(engine, pixels, *more)
    )
    changed = photo.copy()
    changed[3:6, 4:9] = 255
    up = fastsr.load("fast-x2", "cpu", engine="cpu")
    for made, frame in zip(up.stream([photo, changed, photo], deadline=1000), (photo, changed, photo), strict=True):
        np.testing.assert_array_equal(made, up.upscale(frame))
    assert len(given) == 3


@pytest.mark.parametrize("options", [{}, {"scale": 1.5}, {"size": (70, 50)}])
def test_without_time_frames_are_bicubic_of_the_same_size(photo, options):
    rgba = np.concatenate([photo, photo[..., :1]], axis=2)
    frames = [rgba, photo, rgba, photo[..., 0]]
    stream = Upscaler("slow", Slow()).stream(frames, deadline=1e-9, **options)
    _, colour, transparent, gray = stream
    expected = fastsr.load("bicubic").upscale(photo, **(options or {"scale": 2}))
    assert np.abs(colour.astype(int) - expected).mean() < 0.5
    assert (transparent.shape, gray.shape) == ((*expected.shape[:2], 4), expected.shape[:2])
    assert (stream.made_by, stream.late) == ({"slow": 1, "bicubic": 3}, 4)


def test_the_ladder_is_what_the_catalog_has():
    """Of each factor, by arithmetic; each much lighter than the one before."""
    for name, model in catalog.models().items():
        below = heaviness.lighter(model.path, model.scale)
        weights = [heaviness.mflop_per_pixel(catalog.models()[one].path) for one in (name, *below)]
        assert all(after <= 0.75 * before for before, after in itertools.pairwise(weights))
        assert {catalog.models()[one].scale for one in below} <= {model.scale}
        assert list(fastsr.load(name).stream([], deadline=1).made_by) == [name, *below, "bicubic"]
    heaviest = heaviness.by_heaviness(4)[0]
    assert heaviness.lighter(heaviest.path, 4)  # there is something to fall back to


def test_ladders_of_other_models(tmp_path):
    own = fastsr.load(compact(2, channels=128, depth=8).save(tmp_path / "own.onnx"))  # heavier than what ships
    names = list(own.stream([], deadline=1).made_by)
    assert (names[0], names[-1], len(names) > 2) == ("own", "bicubic", True)
    tiny = fastsr.load(compact(2, channels=2, depth=1).save(tmp_path / "tiny.onnx"))
    assert list(tiny.stream([], deadline=1).made_by) == ["tiny", "bicubic"]
    assert list(fastsr.load("lanczos").stream([], deadline=1).made_by) == ["lanczos", "bicubic"]
    assert list(fastsr.load("bicubic").stream([], deadline=1).made_by) == ["bicubic"]
    unknown = Upscaler("made by hand", fastsr.load("lanczos")._pixel_upscaler)
    assert list(unknown.stream([], deadline=1).made_by) == ["made by hand", "bicubic"]


def test_the_best_model_is_told_by_its_card():
    """By LPIPS on damaged images, then on clean ones."""
    best = heaviness.best(4)
    scored = [model for model in catalog.models().values() if model.scale == 4 and model.damaged]
    assert best in (scored or heaviness.by_heaviness(4))
    assert heaviness.best(7) is None


@pytest.mark.parametrize("channels", [1, 3])
def test_quick_interpolation_is_that_of_floats_nearly(photo, channels):
    given = np.ascontiguousarray(photo[..., :channels])
    quick = resample.resize_bytes(given, (101, 77), "bicubic")
    exact = resample.resize_to(resample.to_float(given), (101, 77), given.dtype, "bicubic")
    assert quick.shape == exact.shape
    assert np.abs(quick.astype(int) - exact).max() <= 3
