"""Three overlapped stages: order, bounds, and an orderly end whatever happens."""

import os
import signal
import threading
import time

import pytest

pytest.importorskip("av")

from fastsr.errors import VideoError
from fastsr.video.pipeline.channel import Channel, Stopped
from fastsr.video.pipeline.stages import Pipeline


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
    with pytest.raises(VideoError, match=rf"^in\.mp4: {stage}, frame 7: ") as caught:
        Pipeline("in.mp4").run(*broken(stage, wrong))
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
