"""Three overlapped stages: order, bounds, and an orderly end whatever happens."""

import os
import signal
import threading
import time

import numpy as np
import pytest

pytest.importorskip("av")

from fastsr.errors import VideoError
from fastsr.video.frame import Frame
from fastsr.video.pipeline.channel import Channel, Stopped
from fastsr.video.pipeline.stages import Pipeline
from fastsr.video.pipeline.upscale_stage import UpscaleStage


def through(items, put):
    for item in items:
        put(item)


def alive():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("fastsr ")]


def test_all_items_come_in_order():
    made = []
    Pipeline("in").run(range(100), through, made.extend)
    assert made == list(range(100))
    assert not alive()


def test_stages_run_at_the_same_time():
    """Each stage waits until another is at work, which would never end if they took turns."""
    barrier = threading.Barrier(3, timeout=20)

    def decode():
        for number in range(8):
            if number == 4:
                barrier.wait()
            yield number

    def upscale(items, put):
        for item in items:
            if item == 2:
                barrier.wait()
            put(item)

    made = []

    def encode(items):
        for item in items:
            if item == 0:
                barrier.wait()
            made.append(item)

    Pipeline("in").run(decode(), upscale, encode)
    assert made == list(range(8))


def test_queues_are_bounded():
    ahead, most = [0], [0]

    def decode():
        for number in range(200):
            ahead[0] += 1
            most[0] = max(most[0], ahead[0])
            yield number

    def encode(items):
        for _ in items:
            time.sleep(0.001)
            ahead[0] -= 1

    Pipeline("in", capacity=3).run(decode(), through, encode)
    assert most[0] <= 3 + 3 + 3  # two queues, and one frame in each stage's hands


def broken(stage, wrong):
    def decode():
        for number in range(1000):
            if stage == "decode" and number == 7:
                raise wrong
            yield number

    def upscale(items, put):
        for item in items:
            if stage == "upscale" and item == 7:
                raise wrong
            put(item)

    def encode(items):
        for item in items:
            if stage == "encode" and item == 7:
                raise wrong

    return decode(), upscale, encode


@pytest.mark.parametrize("stage", ["decode", "upscale", "encode"])
@pytest.mark.parametrize("wrong", [RuntimeError("no luck"), BrokenPipeError(32, "Broken pipe"), MemoryError()])
def test_an_error_in_any_stage_ends_all_and_names_it(stage, wrong):
    with pytest.raises(VideoError, match=rf"^film\.mp4: {stage}, frame 7: ") as caught:
        Pipeline("film.mp4").run(*broken(stage, wrong))
    assert caught.value.__cause__ is wrong
    assert not alive()


@pytest.fixture
def interruptible():
    """SIGINT as Python takes it; a shell that starts the tests in the background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("where", ["decode", "upscale", "encode"])
@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_at_any_time(where):
    """The signal comes to the main thread, wherever it is, and all threads end."""

    def press():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)

    def decode():
        for number in range(10_000):
            if where == "decode" and number == 5:
                press()
            yield number

    def upscale(items, put):
        for item in items:
            if where == "upscale" and item == 5:
                press()
            put(item)

    def encode(items):
        for item in items:
            if where == "encode" and item == 5:
                press()

    with pytest.raises(KeyboardInterrupt):
        Pipeline("in").run(decode(), upscale, encode)
    assert not alive()


def test_a_decoder_that_waits_for_input_is_woken():
    woken = threading.Event()

    def decode():
        yield 0
        assert woken.wait(20)

    def encode(items):
        for _ in items:
            raise RuntimeError("the disk is full")

    with pytest.raises(VideoError, match="encode, frame 0: the disk is full"):
        Pipeline("in", woken.set).run(decode(), through, encode)
    assert not alive()


def test_a_stopped_channel_frees_both_ends():
    channel = Channel(1)
    channel.put(1)
    channel.stop()
    with pytest.raises(Stopped):
        channel.put(2)
    with pytest.raises(Stopped):
        next(iter(channel))


# ---------------------------------------------------------------- equal frames


def frames(values):
    return [Frame(i, i, 1, True, value % 3, np.full((2, 2, 3), value, np.uint8)) for i, value in enumerate(values)]


class Counting:
    """Takes `ahead` frames before it gives the first result back, as an engine on a GPU does."""

    name = fingerprint = "counting"

    def __init__(self, ahead):
        self.ahead, self.taken = ahead, []

    def stream(self, given, scale=None, size=None):
        waiting = []
        for pixels in given:
            self.taken.append(int(pixels[0, 0, 0]))
            waiting.append(pixels)
            if len(waiting) > self.ahead:
                yield waiting.pop(0) + 100
        for pixels in waiting:
            yield pixels + 100


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_equal_frames_are_taken_once(ahead):
    values = [1, 1, 1, 4, 4, 1, 7, 7, 7, 7, 2, 2]  # 1, 4 and 7 have one digest
    upscaler, made = Counting(ahead), []
    stage = UpscaleStage(upscaler, (4, 4))
    stage(iter(frames(values)), made.append)
    assert [int(frame.pixels[0, 0, 0]) - 100 for frame in made] == values
    assert [frame.index for frame in made] == list(range(len(values)))
    assert upscaler.taken == [1, 4, 1, 7, 2]
    assert stage.repeated == 7


def test_a_long_still_does_not_wait_for_its_end():
    made = []

    def still():
        for number, frame in enumerate(frames([5] * 50)):
            assert len(made) >= number - 1
            yield frame

    UpscaleStage(Counting(0), (4, 4))(still(), made.append)
    assert len(made) == 50
