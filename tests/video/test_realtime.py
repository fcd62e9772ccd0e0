"""Frames that are shown at once: in time by whatever model, from sources that wait and from such that do not."""

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import pytest
from support.command import start
from support.video_samples import HEIGHT, WIDTH, frame_pixels, video

pytest.importorskip("av")

import fastsr
from fastsr.errors import VideoError
from fastsr.video.pipeline.pace import Pace, frame_deadline
from fastsr.video.request import Input
from fastsr.video.sources.live_input import live_input
from fastsr.video.sources.time_range import TimeRange
from fastsr.video.upscale_video import upscale_video
from fastsr.video_formats import is_url, without_password

pytestmark = pytest.mark.usefixtures("here")
FRAME = len(b"FRAME\n") + 4 * WIDTH * HEIGHT * 3 // 2  # of y4m, enlarged twice
OPTIONS = ("--model", "nearest", "--scale", "2")


def watched(*arguments, read, given=None):
    """Runs `fastsr upscale ... -o - --realtime --json`; returns what it said when `read(pipe)` had read its output."""
    call = ["upscale", *arguments, "-o", "-", "--realtime", "--json", *OPTIONS]
    with start(*call, stdin=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        read(process.stdout.buffer)
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(60) == 0, said
    return json.loads(said.splitlines()[0]), said.splitlines()[1]


def frames_of(pipe, between=lambda number: None):
    """Frames of a y4m stream as they come."""
    assert pipe.readline().startswith(f"YUV4MPEG2 W{2 * WIDTH} H{2 * HEIGHT} F25:1".encode())
    count = 0
    while len(pipe.read(FRAME)) == FRAME:
        between(count)
        count += 1
    return count


def test_a_player_that_reads_at_the_frame_rate_gets_all():
    video("in.mp4", 30)
    seen = []
    told, _ = watched("in.mp4", read=lambda pipe: seen.append(frames_of(pipe, lambda number: time.sleep(0.04))))
    assert seen == [30]
    assert (told["status"], told["frames"], told["dropped"]) == ("made", 30, 0)
    assert sum(told["made_by"].values()) == 30
    assert list(told["made_by"]) == ["nearest", "bicubic"]


def test_a_player_that_stalls_loses_nothing_of_a_file():
    """A pipe and the queues fill up, and all wait; nothing is left out, and no more is made than they hold."""
    video("in.mp4", 60, size=(WIDTH, HEIGHT))
    seen = []

    def stall(number):
        if number == 5:
            time.sleep(2)

    told, last = watched("in.mp4", read=lambda pipe: seen.append(frames_of(pipe, stall)))
    assert seen == [60]
    assert (told["frames"], told["dropped"], sum(told["made_by"].values())) == (60, 0, 60)
    assert last.startswith("1 made: ")
    assert f"{told['made_by']['nearest']} by nearest" in last or told["made_by"]["nearest"] == 0


def test_a_player_that_is_closed_ends_the_run_in_order():
    video("in.mp4", 200, size=(192, 128))
    told, last = watched("in.mp4", read=lambda pipe: pipe.read(600_000))  # four frames
    assert told["status"] == "made"
    assert 1 <= told["frames"] < 200
    assert "by nearest" in last


@pytest.mark.parametrize("name", ["in.ts", "in.mkv", "in.nut"])
def test_any_format_comes_through_standard_input(name):
    """As from another program that reads a camera."""
    video(name, 12, format={"in.ts": "mpegts", "in.nut": "nut"}.get(name))
    seen = []
    with Path(name).open("rb") as given:
        told, _ = watched("-", read=lambda pipe: seen.append(frames_of(pipe)), given=given)
    assert seen == [12]
    assert (told["source"], told["frames"]) == ("standard input", 12)


def test_raw_frames_come_through_standard_input():
    given = b"".join(frame_pixels(number).tobytes() for number in range(5))
    command = [sys.executable, "-m", "fastsr", "upscale", "-", "-o", "-", "--realtime", "--raw", *OPTIONS]
    environment = {**os.environ, "PYTHONPATH": str(Path(fastsr.__file__).parents[1])}
    size = ["--raw-size", f"{WIDTH}x{HEIGHT}"]
    done = subprocess.run([*command, *size], input=given, capture_output=True, timeout=60, check=False, env=environment)
    assert (done.returncode, len(done.stdout)) == (0, 5 * 4 * WIDTH * HEIGHT * 3)


def test_a_named_pipe():
    os.mkfifo("pipe")
    video("in.ts", 12, format="mpegts")
    writer = threading.Thread(target=lambda: Path("pipe").write_bytes(Path("in.ts").read_bytes()))
    writer.start()
    seen = []
    told, _ = watched("pipe", read=lambda pipe: seen.append(frames_of(pipe)))
    writer.join()
    assert (seen, told["frames"], told["source"]) == ([12], 12, "pipe")


@contextlib.contextmanager
def served(content):
    """The address of a server on this machine that sends `content` to whoever connects first."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            with server.accept()[0] as connection, contextlib.suppress(OSError):
                connection.sendall(content)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"tcp://somebody:secret@127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def opened(name, **options):
    given = Input(name, deinterlace=False, rate=Fraction(25), raw_size=None, realtime=True, **options)
    return contextlib.closing(given.open(TimeRange(), upright=True))


def test_a_stream_from_the_network_does_not_wait():
    video("in.ts", 12, format="mpegts")
    with served(Path("in.ts").read_bytes()) as url, opened(url) as source:
        assert source.live
        assert "secret" not in source.name
        assert len(list(source.frames())) == 12


@pytest.mark.parametrize("content", [b"ffconcat version 1.0\nfile in.mp4\n", b"#EXTM3U\n#EXTINF:1,\nin.mp4\n" * 9])
def test_lists_of_files_are_refused_from_the_network(content):
    video("in.mp4", 3)
    with (
        served(content) as url,
        pytest.raises(VideoError, match=r"tcp://127\.0\.0\.1:\d+: cannot be opened"),
        opened(url),
    ):
        pass


def test_files_wait():
    video("in.mp4", 3)
    with opened("in.mp4") as source:
        assert not source.live


def test_a_camera_is_asked_for_what_it_shall_give():
    spec = live_input("/dev/null", (640, 360), Fraction(30))  # a device, if none that films
    assert (spec.format, spec.live) == ("v4l2", True)
    assert spec.options == {"video_size": "640x360", "framerate": "30"}
    assert live_input("/dev/null", None, None).options == {}
    with pytest.raises(VideoError, match=r"^/dev/null: cannot be opened as a video"):
        spec.open()


def test_addresses():
    assert all(map(is_url, ("rtsp://camera/stream", "HTTP://x/y.ts", "udp://239.0.0.1:1234")))
    assert not any(map(is_url, ("in.mp4", "file:///etc/passwd", "concat:a|b", "a/b://c", "")))
    assert without_password("rtsp://me:secret@camera/a@b") == "rtsp://camera/a@b"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["in.mp4", "-o", "out.mp4", "--realtime"], "--realtime is for frames that are shown at once"),
        (["in.mp4", "--realtime"], "--realtime is for frames that are shown at once"),
        (["in.mp4", "-o", "-", "--realtime", "--preview"], "--realtime is for frames that are shown at once"),
        (["a.png", "-o", "-", "--realtime"], "--realtime is for videos, but no input is one"),
    ],
)
def test_wrong_calls(cli, arguments, says):
    video("in.mp4", 3)
    Path("a.png").write_bytes(b"")
    code, _, err = cli(*arguments)
    assert (code, says in err) == (2, True)


def test_addresses_need_the_option(cli):
    code, _, err = cli("rtsp://me:secret@127.0.0.1:1/stream", "-o", "out.mp4")
    assert code == 1
    assert (
        err == "fastsr: rtsp://127.0.0.1:1/stream: is an address; add --realtime, and -o - for a player to read from\n"
    )
    with pytest.raises(VideoError, match="is an address; add --realtime"):
        upscale_video("http://127.0.0.1:1/a.mp4", "out.mp4")
    with pytest.raises(VideoError, match="--realtime is for frames that are shown at once"):
        upscale_video("in.mp4", "out.mp4", realtime=True)


def test_a_source_that_is_not_there(cli):
    for name in ("rtsp://127.0.0.1:1/stream", "missing.mp4"):
        code, out, err = cli(name, "-o", "-", "--realtime", "--json")
        assert (code, out) == (1, "")
        told = json.loads(err.splitlines()[0])
        assert (told["status"], told["source"]) == ("failed", name)
        assert name in told["error"]


def test_the_result_says_how_frames_were_made(monkeypatch):
    video("in.mp4", 10)
    made = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(made))
    seen = []
    result = upscale_video("in.mp4", "-", model="nearest", scale=2, realtime=True, progress=seen.append)
    assert (result.frames, sum(result.pace.made_by.values()), result.pace.dropped) == (10, 10, 0)
    assert seen[-1].pace == result.pace
    assert made.getvalue().count(b"FRAME\n") == 10


def test_equal_frames_are_not_made_again(monkeypatch):
    video("in.mkv", 10, codec="ffv1", pixels=lambda number, width, height: frame_pixels(0, width, height))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO()))
    result = upscale_video("in.mkv", "-", model="nearest", scale=2, realtime=True)
    assert (result.frames, result.repeated, sum(result.pace.made_by.values())) == (10, 9, 1)


def test_pace_in_words():
    assert str(Pace({"fast-x4": 240, "bicubic": 3}, 1, 2)) == "240 by fast-x4, 3 by bicubic, 1 late, 2 left out"
    assert str(Pace({"fast-x4": 240, "bicubic": 0}, 0, 0)) == "240 by fast-x4"
    assert str(Pace({}, 0, 0)) == "no frame"


def test_each_frame_has_as_long_as_it_is_shown():
    assert (frame_deadline(50), frame_deadline(24)) == (1 / 50, 1 / 24)
    assert frame_deadline(90000) == frame_deadline(0) == 1 / 25  # ticks, or nothing known


def test_ctrl_c_tells_how_frames_were_made():
    video("in.mp4", 400, size=(192, 128))
    call = ["upscale", "in.mp4", "-o", "-", "--realtime", *OPTIONS]
    with start(*call, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.buffer.read(600_000)
        process.send_signal(signal.SIGINT)
        process.stdout.buffer.read()
        error = process.stderr.read()
    assert process.returncode == 130
    assert "in.mp4: " in error
    assert " by nearest" in error


def test_a_dry_run_opens_nothing(cli):
    code, out, err = cli("rtsp://127.0.0.1:1/stream", "-o", "-", "--realtime", "--dry-run")
    assert (code, out) == (0, "")
    assert err.endswith("1 to make\n")


@pytest.mark.parametrize("begun", [b"", f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F25:1 C420jpeg\nFRAME\n".encode()])
def test_ctrl_c_while_a_pipe_is_waited_for(monkeypatch, begun):
    reader, writer = os.pipe()
    os.write(writer, begun)
    waits = iter([begun] * bool(begun))

    def select(readable, *_):
        if next(waits, None) is None:
            raise KeyboardInterrupt
        return readable, [], []

    monkeypatch.setattr("fastsr.video.sources.pipe_input.select.select", select)
    with os.fdopen(reader) as given:
        monkeypatch.setattr(sys, "stdin", given)
        with pytest.raises(KeyboardInterrupt):
            upscale_video("-", "out.mkv", model="nearest")
    os.close(writer)
    assert not Path("out.mkv").exists()
