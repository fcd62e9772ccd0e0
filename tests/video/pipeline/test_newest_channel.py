"""The queue behind a source that does not wait: bounded, the oldest left out, and it tells since when things wait."""

import threading

import pytest

pytest.importorskip("av")

from fastsr.video.pipeline.channel import Stopped
from fastsr.video.pipeline.newest_channel import NewestChannel
from fastsr.video.pipeline.stages import Pipeline


def test_the_oldest_is_left_out():
    clock = iter(range(100))
    channel = NewestChannel(2, lambda: next(clock))
    for number in range(5):
        channel.put(number)
    channel.finish()
    assert [(item, channel.available()) for item in channel] == [(3, 3), (4, 4)]
    assert channel.dropped == 3


def test_nothing_is_left_out_while_it_is_read():
    channel = NewestChannel(1)
    items = iter(channel)
    for number in range(5):
        channel.put(number)
        assert next(items) == number
    assert channel.dropped == 0


def test_a_stopped_one_takes_nothing():
    channel = NewestChannel(1)
    channel.stop()
    with pytest.raises(Stopped):
        channel.put(1)


@pytest.mark.parametrize("stalls_at", [0, 1, 10])
def test_a_consumer_that_stalls_costs_frames_and_no_memory(stalls_at):
    """It goes on when the source has sent all: what waits then is the newest, and no more than the queues hold."""
    sent = threading.Event()
    channel, made, taken = NewestChannel(2), [], threading.Semaphore(0)

    def decode():
        for number in range(100):
            yield number
            if number < stalls_at:
                assert taken.acquire(timeout=20)  # as long as it reads, the source is no quicker than it
        sent.set()

    def upscale(items, put):
        for item in items:
            put(item)

    def encode(items):
        for item in items:
            if len(made) == stalls_at:
                assert sent.wait(20)
            made.append(item)
            taken.release()

    Pipeline("camera", capacity=1, decoded=channel).run(decode(), upscale, encode)
    assert made[:stalls_at] == list(range(stalls_at))
    assert made == sorted(set(made))
    assert made[-2:] == [98, 99]
    assert len(made) + channel.dropped == 100
    assert len(made) <= stalls_at + 1 + 2 + 1 + 1 + 1  # two queues, and a frame in each stage's hands
