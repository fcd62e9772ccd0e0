"""Raw frames through standard input and output."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.video_samples import HEIGHT, WIDTH, decoded, frame_pixels, planes, video, with_display_matrix

pytest.importorskip("av")


ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("here")


def piped(*arguments, given=b""):
    command = [sys.executable, "-m", "fastsr", "upscale", *map(str, arguments)]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, input=given, capture_output=True, timeout=60, check=False, env=environment)


def test_y4m_through_pipes():
    video("in.mkv", 6, colors=(6, 1, 6, 6), options={"qp": "0"})
    options = ["--model", "nearest", "--scale", "2"]
    first = piped("in.mkv", "-o", "-", *options)
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith(b"YUV4MPEG2 W96 H64 F25:1")
    assert first.stderr == b"1 made\n"
    second = piped("-", "-o", "out.mkv", "--lossless", *options, given=first.stdout)
    assert second.returncode == 0, second.stderr
    frames = decoded("out.mkv")
    assert (len(frames), frames[0].width) == (6, 4 * WIDTH)
    before, after = planes(decoded("in.mkv")[3])[0], planes(frames[3])[0]
    assert np.abs(after[::4, ::4] - before).max() <= 2


def test_rgb_through_pipes():
    given = b"".join(frame_pixels(number).tobytes() for number in range(5))
    options = ["--model", "nearest", "--scale", "2"]
    done = piped("-", "-o", "-", "--raw", "--raw-size", f"{WIDTH}x{HEIGHT}", "--fps", "10", *options, given=given)
    assert done.returncode == 0, done.stderr
    made = np.frombuffer(done.stdout, np.uint8).reshape(5, 2 * HEIGHT, 2 * WIDTH, 3)
    np.testing.assert_array_equal(made[4][::2, ::2], frame_pixels(4))


def test_pipes_are_upright():
    """A pipe cannot say how its frames are turned, so their pixels are."""
    video("in.mp4", 2, pix_fmt="yuv444p", options={"qp": "0"})
    shutil.copy("in.mp4", "turned.mp4")
    with_display_matrix(Path("turned.mp4"))
    options = ["-o", "-", "--model", "nearest", "--scale", "1"]
    made = {name: piped(name, "--raw", *options) for name in ("in.mp4", "turned.mp4")}
    plain = np.frombuffer(made["in.mp4"].stdout, np.uint8).reshape(2, HEIGHT, WIDTH, 3)
    turned = np.frombuffer(made["turned.mp4"].stdout, np.uint8).reshape(2, WIDTH, HEIGHT, 3)
    np.testing.assert_array_equal(turned, np.rot90(plain, -1, axes=(1, 2)))
    assert piped("turned.mp4", *options).stdout.startswith(b"YUV4MPEG2 W32 H48")


def test_a_broken_pipe_ends_in_order():
    video("in.mp4", 200, size=(192, 128))
    command = [sys.executable, "-m", "fastsr", "upscale", "in.mp4", "-o", "-", "--model", "nearest", "--scale", "4"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        process.stdout.read(1000)
        process.stdout.close()
        error = process.stderr.read().decode()
        assert process.wait(60) == 1
    assert "in.mp4: encode, frame" in error
    assert "Broken pipe" in error
    assert "Traceback" not in error


def test_a_pipe_that_ends_or_is_no_video():
    assert b"standard input: cannot be opened as a video" in piped("-", "-o", "out.mp4", given=b"nothing").stderr
    header = f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F25:1 C420jpeg\n".encode()
    cut = header + b"FRAME\n" + bytes(WIDTH * HEIGHT * 3 // 2) + b"FRAME\n" + bytes(100)
    done = piped("-", "-o", "out.mkv", "--model", "nearest", given=cut)
    assert done.returncode == 0, done.stderr
    assert len(decoded("out.mkv")) == 1
