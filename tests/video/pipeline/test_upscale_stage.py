"""Equal frames that follow each other are upscaled once."""

import threading
import time

import numpy as np
import pytest

pytest.importorskip("av")

from fastsr.errors import VideoError
from fastsr.video.frame import Frame
from fastsr.video.pipeline.channel import Stopped
from fastsr.video.pipeline.stages import Pipeline
from fastsr.video.pipeline.upscale_stage import UpscaleStage


def frames(values):
    return [Frame(i, i, 1, True, value % 3, np.full((2, 2, 3), value, np.uint8)) for i, value in enumerate(values)]


class Counting:
    """Takes `ahead` frames before it gives the first result back, as an engine on a GPU does."""

    name = fingerprint = "counting"

    def __init__(self, ahead):
        self.ahead, self.taken = ahead, []

    def stream(self, given, scale=None, size=None, *, progress=None):
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


class Endless:
    """Has one frame that takes forever, and tells as it goes on that it does."""

    name = fingerprint = "endless"

    def __init__(self):
        self.begun, self.given_up = threading.Event(), False

    def stream(self, given, scale=None, size=None, *, progress=None):
        for pixels in given:
            self.begun.set()
            end = time.monotonic() + 20
            try:
                while time.monotonic() < end:
                    progress(1, 1000)
                    time.sleep(0.01)
            except Stopped:
                self.given_up = True
                raise
            yield pixels


def test_a_frame_is_given_up_with_the_work():
    upscaler = Endless()

    def encode(frames):
        assert upscaler.begun.wait(20)
        raise RuntimeError("the disk is full")

    with pytest.raises(VideoError, match="encode, frame 0: the disk is full"):
        Pipeline("in").run(iter(frames([1, 2])), UpscaleStage(upscaler, (4, 4)), encode)
    assert upscaler.given_up


def test_a_long_still_does_not_wait_for_its_end():
    made = []

    def still():
        for number, frame in enumerate(frames([5] * 50)):
            assert len(made) >= number - 1
            yield frame

    UpscaleStage(Counting(0), (4, 4))(still(), made.append)
    assert len(made) == 50
