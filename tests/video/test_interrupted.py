"""Ctrl-C on a video that is made: a playable file of what is done, and the work goes on as if nothing had been."""

import os
import shlex
import signal
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from support.command import start
from support.video_runs import digest, names
from support.video_samples import CHAPTERS, RATE, decoded, frame_pixels, packets, shown, video

av = pytest.importorskip("av")

import fastsr  # noqa: E402
from fastsr.cli.command import INTERRUPTED, main  # noqa: E402
from fastsr.video.outputs import remux  # noqa: E402
from fastsr.video.outputs.held_interrupt import interrupt_held  # noqa: E402
from fastsr.video.pipeline.job import Job  # noqa: E402

pytestmark = pytest.mark.usefixtures("here")
OPTIONS = {"model": "nearest", "scale": 2, "segment": 6}
WORK = ".out.mp4.fastsr-work"


class Pressing:
    """A progress callback that presses Ctrl-C after so many frames of a run."""

    def __init__(self, frames):
        self.left = frames

    def __call__(self, now):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def interrupted(frames, source="in.mp4", target="out.mp4", **options):
    """Run until so many frames are made; returns the file of what is done and the seconds that it was said to hold."""
    told = []
    with pytest.raises(KeyboardInterrupt):
        fastsr.upscale_video(
            source,
            target,
            progress=Pressing(frames),
            interrupted=lambda *given: told.append(given),
            **{**OPTIONS, **options},
        )
    return told[0] if told else None


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "vp9"])
def test_what_is_done_plays_and_the_rest_follows(codec):
    size = (64, 48)
    video("in.mp4", 40, options={"g": "6", "bf": "2"}, sound=True, chapters=CHAPTERS, size=size)
    fastsr.upscale_video("in.mp4", "whole.mp4", codec=codec, **OPTIONS)
    part, seconds = interrupted(20, codec=codec)
    assert (part, seconds) == (Path("out.part.mp4"), 20 / RATE)
    assert names(Path()) == [WORK, "in.mp4", "out.part.mp4", "whole.mp4"]
    whole = decoded("whole.mp4")
    assert len(decoded(part)) == 20  # whole segments and the one at hand
    for mine, theirs in list(zip(decoded(part), whole, strict=False))[:18]:
        np.testing.assert_array_equal(mine.to_ndarray(), theirs.to_ndarray())
    assert shown(part) == shown("whole.mp4")[:20]
    sound = packets(part)[1][1]
    assert sound == packets("whole.mp4")[1][1][: len(sound)]
    assert 0.7 < len(sound) / len(packets("whole.mp4")[1][1]) / 0.5 < 1.4
    result = fastsr.upscale_video("in.mp4", "out.mp4", codec=codec, **OPTIONS)
    assert result.resumed == 18
    assert digest("out.mp4") == digest("whole.mp4")
    assert names(Path()) == ["in.mp4", "out.mp4", "whole.mp4"]


@pytest.mark.parametrize("start", [0.2, None])
def test_of_a_part_of_the_source(start):
    video("in.mp4", 50, options={"g": "6"}, sound=True)
    part, _ = interrupted(20, start=start, end=1.8)
    assert [time for time, _ in shown(part)] == [time for time, _ in shown("in.mp4")][:20]
    with av.open(str(part)) as made:
        assert 0.6 < made.duration / 1e6 < 1.0


def test_stopped_again_and_again():
    """Each time the file is replaced by one that holds more, and never by one that holds less."""
    video("in.mp4", 60, options={"g": "6"})
    lengths = []
    for frames in (20, 3, 16, 12):
        interrupted(frames)
        lengths.append(len(decoded("out.part.mp4")))
    assert lengths == [20, 21, 34, 42]
    before = digest("out.part.mp4")
    assert interrupted(1) is None or len(decoded("out.part.mp4")) > 42
    assert digest("out.part.mp4") == before or len(decoded("out.part.mp4")) > 42
    fastsr.upscale_video("in.mp4", "out.mp4", **OPTIONS)
    assert names(Path()) == ["in.mp4", "out.mp4"]


def test_a_file_of_the_users_is_not_touched():
    video("in.mp4", 40, options={"g": "6"})
    Path("out.part.mp4").write_text("mine")
    Path("out.part-2.mp4").symlink_to("nowhere")
    assert interrupted(10)[0] == Path("out.part-3.mp4")
    Path("out.part-3.mp4").write_text("mine by now")
    assert interrupted(10)[0] == Path("out.part-4.mp4")
    fastsr.upscale_video("in.mp4", "out.mp4", **OPTIONS)
    assert names(Path()) == ["in.mp4", "out.mp4", "out.part-2.mp4", "out.part-3.mp4", "out.part.mp4"]
    assert (Path("out.part.mp4").read_text(), Path("out.part-3.mp4").read_text()) == ("mine", "mine by now")
    assert not Path("nowhere").exists()


def test_work_of_other_settings_is_replaced_too():
    video("in.mp4", 40, options={"g": "6"})
    interrupted(30)
    assert interrupted(10, crf=30)[0] == Path("out.part.mp4")
    assert len(decoded("out.part.mp4")) == 10
    assert names(Path()) == [WORK, "in.mp4", "out.part.mp4"]


def test_nothing_is_left_where_nothing_was_done_or_asked_for():
    video("in.mp4", 40, options={"g": "6"})
    fastsr.upscale_video("in.mp4", "whole.mp4", **OPTIONS)
    with pytest.raises(KeyboardInterrupt):
        fastsr.upscale_video("in.mp4", "out.mp4", progress=Pressing(10), **OPTIONS)
    assert names(Path()) == [WORK, "in.mp4", "whole.mp4"]
    assert sorted(path.name for path in Path(WORK).iterdir()) == ["000000.segment", "job.json", "lock"]
    assert fastsr.upscale_video("in.mp4", "out.mp4", **OPTIONS).resumed == 6
    assert names(Path()) == ["in.mp4", "out.mp4", "whole.mp4"]


def test_of_the_first_segment():
    """Nothing of which can be resumed; but the file is known to be ours."""
    video("in.mp4", 40, options={"g": "6"})
    interrupted(4)
    assert len(decoded("out.part.mp4")) == 4
    assert fastsr.upscale_video("in.mp4", "out.mp4", **OPTIONS).resumed == 0
    assert names(Path()) == ["in.mp4", "out.mp4"]


def test_numbered_images_need_no_such_file():
    video("in.mp4", 40, options={"g": "6"})
    Path("frames").mkdir()
    assert interrupted(30, target="frames/%03d.png") is None
    assert len([path for path in Path("frames").iterdir() if path.suffix == ".png"]) >= 30


def test_a_fault_while_it_is_made_costs_nothing(monkeypatch, recwarn):
    video("in.mp4", 40, options={"g": "6"})
    fastsr.upscale_video("in.mp4", "whole.mp4", **OPTIONS)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(remux, "write", full)
        interrupted(20)
    assert any("what is done was not put together: out.part.mp4: no space left" in str(w.message) for w in recwarn)
    assert names(Path()) == [WORK, "in.mp4", "whole.mp4"]
    assert fastsr.upscale_video("in.mp4", "out.mp4", **OPTIONS).resumed == 18
    assert digest("out.mp4") == digest("whole.mp4")


def test_a_second_press_stops_at_once(monkeypatch):
    video("in.mp4", 40, options={"g": "6"})

    def press(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(remux, "write", press)
        interrupted(20)
    assert names(Path()) == [WORK, "in.mp4"]
    assert not [path for path in Path(WORK).iterdir() if path.name.startswith("tail")]
    assert fastsr.upscale_video("in.mp4", "out.mp4", **OPTIONS).resumed == 18


def test_a_second_press_while_the_stages_end():
    """The frame at hand may take a minute, which nobody waits for who presses again."""
    video("in.mp4", 40, options={"g": "6"})
    told, first, second = [], threading.Event(), threading.Event()

    class Waiting:
        name = fingerprint = "waiting"

        def stream(self, frames, scale=None, size=None, *, progress=None):
            for number, frame in enumerate(frames):
                if number == 8:
                    first.set()
                    assert second.wait(20)
                yield np.repeat(np.repeat(frame, 2, 0), 2, 1)

    def press():
        assert first.wait(20)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
        second.set()

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    pressing = threading.Thread(target=press)
    real = Job.__init__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Job, "__init__", lambda job, source, upscaler, *rest: real(job, source, Waiting(), *rest))
        pressing.start()
        try:
            with pytest.raises(KeyboardInterrupt):
                fastsr.upscale_video("in.mp4", "out.mp4", interrupted=lambda *given: told.append(given), **OPTIONS)
        finally:
            pressing.join()
            signal.signal(signal.SIGINT, handler)
    assert told == []
    assert names(Path()) == [WORK, "in.mp4"]


@pytest.mark.parametrize("note", ["", "no JSON", "[]", "{}", '{"name": 1, "size": 1, "changed": 1, "frames": 1}'])
def test_a_note_that_is_none_is_no_harm(note):
    video("in.mp4", 40, options={"g": "6"})
    interrupted(20)
    (Path(WORK) / "partial.json").write_text(note)
    interrupted(10)
    assert names(Path()) == [WORK, "in.mp4", "out.part-2.mp4", "out.part.mp4"]


def press_three_times(seen):
    with interrupt_held():
        for number in range(3):
            os.kill(os.getpid(), signal.SIGINT)
            seen.append(number)


def test_a_press_is_held_back_inside():
    seen = []
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            press_three_times(seen)
        assert seen == [0, 1, 2]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        with interrupt_held():
            pass
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with interrupt_held():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, handler)


def test_the_command_says_how_to_go_on(capsys, monkeypatch):
    video("in file.mp4", 40, options={"g": "6"})
    from fastsr.cli import videos

    real = videos._Bar.show
    count = Pressing(20)
    monkeypatch.setattr(videos._Bar, "show", lambda bar, now: (real(bar, now), count(now)))
    call = ["upscale", "in file.mp4", "-o", "out.mp4", "--model", "nearest", "--scale", "2"]
    assert main(call) == INTERRUPTED
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "fastsr: out.mp4: stopped; what is done is put together (Ctrl-C again stops at once)"
    assert said[1] == "fastsr: out.part.mp4: the first 0.8 s, which is what is done"
    assert said[2] == f"fastsr: out.mp4: to go on where it was stopped: fastsr {shlex.join(call)}"
    assert shlex.split(said[2].partition("stopped: ")[2])[1:] == call
    assert len(decoded("out.part.mp4")) == 20
    assert main(shlex.split(said[2].partition("stopped: ")[2])[1:]) == 0
    assert names(Path()) == ["in file.mp4", "out.mp4"]


def test_a_pipe_leaves_what_is_done(monkeypatch):
    """It cannot be read again, so that this is all that is left."""
    video("in.y4m", 40, codec="rawvideo", format="yuv4mpegpipe")
    with Path("in.y4m").open() as given:
        monkeypatch.setattr("sys.stdin", given)
        part, _ = interrupted(20, source="-")
    assert len(decoded(part)) == 20
    assert names(Path()) == ["in.y4m", "out.part.mp4"]


def test_pressed_while_it_runs():
    """The signal comes whenever it does, also in the middle of a frame."""
    video("in.mp4", 300, options={"g": "6"}, size=(96, 64), pixels=lambda number, w, h: frame_pixels(number % 9, w, h))
    call = ["upscale", "in.mp4", "-o", "out.mp4", "--model", "lanczos", "--scale", "8"]
    with start(*call, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        for _ in range(1200):
            if list(Path(WORK).glob("*.part")) or process.poll() is not None:
                break
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert f"out.mp4: to go on where it was stopped: fastsr {shlex.join(call)}" in error
    assert "Traceback" not in error
    assert not Path("out.mp4").exists()
    if "out.part.mp4: the first" in error:  # else it was pressed before any frame was made
        times = [time for time, _ in shown("out.part.mp4")]
        assert times == [time for time, _ in shown("in.mp4")][: len(times)]
