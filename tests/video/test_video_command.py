"""Videos on the command line, sequences and pipes, previews, bench."""

import re
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.command import files, on_terminal, runner
from support.video_samples import HEIGHT, WIDTH, decoded, packets, picture, planes, shown, video

av = pytest.importorskip("av")

import fastsr  # noqa: E402
from fastsr.cli.command import main  # noqa: E402
from fastsr.errors import FastsrError, VideoError  # noqa: E402

ROOT = Path(__file__).parents[2]


pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def cli(capsys):
    return runner(capsys, "--model", "nearest", "--scale", "2")


@pytest.mark.parametrize("command", ["upscale", "bench"])
def test_models_are_loaded_for_video(monkeypatch, command):
    """So that "auto" may take what a card proves; images get fp32."""
    seen = []
    monkeypatch.setattr(
        fastsr, "load", lambda *given, real=fastsr.load, **o: seen.append(o["video"]) or real(*given, **o)
    )
    video("in.mp4", 3)
    Image.new("RGB", (8, 8)).save("image.png")
    choices = ["--model", "nearest", "--scale", "2"]
    if command == "bench":
        assert main(["bench", "in.mp4", "--frames", "2", *choices]) == 0
        assert seen == [True]
    else:
        assert main(["upscale", "in.mp4", "image.png", "-o", "out", *choices]) == 0
        assert sorted(seen) == [False, True]


# ---------------------------------------------------------------- files


def test_one_video(cli):
    video("in.mp4", sound=True)
    assert cli("in.mp4", "-o", "out.mp4")[:2] == (0, "1 made\n")
    assert files() == ["in.mp4", "out.mp4"]
    assert (decoded("out.mp4")[0].width, len(decoded("out.mp4"))) == (2 * WIDTH, 12)
    assert packets("out.mp4")[1] == packets("in.mp4")[1]
    assert cli("in.mp4", "-o", "out.mp4")[1] == "0 made, 1 already there (--force makes them again)\n"
    assert cli("in.mp4", "-o", "out.mp4", "--force")[1] == "1 made\n"


def test_options_reach_the_encoder(cli):
    video("in.mp4", 25)
    options = ["--codec", "av1", "--crf", "40", "--preset", "12", "--pix-fmt", "yuv420p10le"]
    assert cli("in.mp4", "-o", "out.mkv", *options, "--start", "0.2", "--end", "0:00.8", "--fps-limit", "5")[0] == 0
    frames = decoded("out.mkv")
    assert (frames[0].format.name, len(frames)) == ("yuv420p10le", 3)
    with av.open("out.mkv") as made:
        assert "av1" in made.streams.video[0].codec_context.codec.canonical_name


def test_progress_on_a_terminal(monkeypatch):
    monkeypatch.setenv("TQDM_MININTERVAL", "0")  # every frame is shown, however fast the machine
    video("in.mp4", 20)
    shown_there = on_terminal("upscale", "in.mp4", "-o", "out.mp4", "--model", "nearest", "--scale", "2")
    # frames, elapsed<left, frames a second, real-time factor
    assert re.search(r"in\.mp4: .*1\d/20 \[\d+:\d+<\d+:\d+, .*frame/s, \d+\.\d\dx real time", shown_there)


def test_several_inputs_queue_up(cli):
    video("a.mp4", 3)
    Path("films").mkdir()
    video("films/b.mkv", 4)
    video("films/c.avi", 5, codec="mpeg4")
    Image.fromarray(picture(0)).save("films/d.png")
    code, out, _ = cli("a.mp4", "films", "-o", "large")
    assert (code, out) == (0, "4 made\n")
    assert files("large") == ["a.mp4", "b.mkv", "c.mkv", "d.png"]
    assert [len(decoded(f"large/{name}")) for name in ("a.mp4", "b.mkv", "c.mkv")] == [3, 4, 5]
    assert cli("films/*.mkv", "-o", "globbed")[0] == 0
    assert files("globbed") == ["b.mkv"]


def test_one_that_fails_does_not_stop_the_others(cli):
    Path("a.mp4").write_bytes(b"no video" * 99)
    video("b.mp4", 3)
    code, out, err = cli("a.mp4", "b.mp4", "-o", "large")
    assert (code, out) == (1, "1 made, 1 failed\n")
    assert "fastsr: a.mp4: cannot be opened as a video" in err
    assert files("large") == ["b.mp4"]


def test_gif_becomes_a_video_or_an_animation(cli):
    pictures = [Image.fromarray(picture(number)) for number in range(3)]
    pictures[0].save("in.gif", save_all=True, append_images=pictures[1:], duration=[100, 50, 70])
    assert cli("in.gif", "-o", "out.mp4")[0] == 0
    assert [time for time, _ in shown("out.mp4")] == [0, Fraction(1, 10), Fraction(15, 100)]
    assert cli("in.gif", "-o", "out.gif")[0] == 0
    with Image.open("out.gif") as made:
        assert (made.n_frames, made.size) == (3, (2 * WIDTH, 2 * HEIGHT))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["in.mp4", "-o", "out.avi.txt/"], "out.avi.txt"),
        (["in.mp4", "b.mp4", "-o", "out.mp4"], "out.mp4: names one video, but the input is several"),
        (["in.mp4", "-o", "out.gif"], "out.gif: a video cannot be written as .gif; use one of .mp4"),
        (["in.mp4", "-o", "out.avi"], "out.avi: a video cannot be written as .avi; use one of .mp4"),
        (["a.png", "-o", "out.png", "--crf", "3"], "--crf is for videos, but no input is one"),
        (["in.mp4", "-o", "in.mp4", "--force"], "the result would replace its source"),
        (["missing.mp4", "-o", "out.mp4"], "missing.mp4: cannot be read"),
        (["in.mp4", "-o", "out.mp4", "--crf", "99"], "crf 99 is not between 0 and 51"),
        (["in.mp4", "-o", "out.mp4", "--codec", "prores"], "name the output"),
        (["in.mp4", "-o", "a.png/out.mp4"], "is not a folder"),
    ],
)
def test_refusals(cli, arguments, says):
    video("in.mp4", 3)
    video("b.mp4", 3)
    Image.fromarray(picture(0)).save("a.png")
    before = files()
    code, _, err = cli(*arguments)
    if arguments[-1] == "out.avi.txt/":
        assert code == 0  # a folder, whatever its name looks like
        return
    assert code == 1
    assert says in err
    assert files() == before


def test_damaged_input_is_told(cli):
    video("in.mp4", 40, options={"g": "10"})
    content = bytearray(Path("in.mp4").read_bytes())
    middle = len(content) // 3
    content[middle : middle + 200] = bytes(200)
    Path("in.mp4").write_bytes(content)
    code, _, err = cli("in.mp4", "-o", "out.mp4")
    assert code == 0 or "fastsr: in.mp4" in err
    if code == 0:
        assert len(decoded("out.mp4")) > 0


# ---------------------------------------------------------------- sequences


def test_sequence_out_and_in(cli):
    video("in.mp4", 10, pix_fmt="yuv444p", options={"qp": "0"})
    code, _, err = cli("in.mp4", "-o", "frames/%03d.png", "--scale", "1", "--model", "nearest")
    assert (code, err) == (0, "")
    assert files("frames") == [f"{number:03d}.png" for number in range(1, 11)]
    for number, frame in enumerate(decoded("in.mp4"), 1):
        made = np.asarray(Image.open(f"frames/{number:03d}.png")).astype(int)
        assert np.abs(made - frame.to_ndarray(format="rgb24")).max() <= 1
    for source in ("frames/%03d.png", "frames"):
        target = f"{Path(source).name[0]}.mp4"
        options = ["--fps", "10", "--pix-fmt", "yuv444p", "--lossless"]
        code, _, err = cli(source, "-o", target, *options)
        assert (code, err) == (0, "")
        assert [time for time, _ in shown(target)] == [Fraction(number, 10) for number in range(10)]
        first = decoded(target)[0]
        assert (first.width, first.colorspace, first.color_range) == (2 * WIDTH, 1, 1)
        given = np.asarray(Image.open("frames/001.png")).astype(int)
        made = first.to_ndarray(format="rgb24", src_colorspace=1)[::2, ::2]
        assert np.abs(made - given).max() <= 3


def test_sequences_keep_16_bits():
    from fastsr import images

    Path("deep").mkdir()
    for number in range(3):
        taken = images.read(picture(number, dtype=np.uint16))
        images.write(taken, taken.frames, f"deep/{number}.png")
    Path("large").mkdir()
    fastsr.upscale_video("deep/%d.png", "large/%d.png", model="nearest", scale=2)
    made = images.read("large/2.png").frames[0].color
    np.testing.assert_array_equal(made[::2, ::2], picture(1, dtype=np.uint16))
    fastsr.upscale_video("deep", "deep.mkv", model="nearest", scale=2)
    assert decoded("deep.mkv")[0].format.name == "yuv420p10le"


def test_a_sequence_goes_on_where_it_was_killed(monkeypatch):
    class Kill(BaseException):
        pass

    def stop(now):
        if now.frames == 30:
            raise Kill

    video("in.mp4", 40)
    Path("out").mkdir()
    with pytest.raises(Kill):
        fastsr.upscale_video("in.mp4", "out/%d.png", model="nearest", scale=2, progress=stop)
    result = fastsr.upscale_video("in.mp4", "out/%d.png", model="nearest", scale=2)
    assert (result.frames, result.resumed) == (40, 24)
    assert len(files("out")) == 40


def test_bad_sequences():
    Path("s").mkdir()
    for name in ("1.png", "2.png", "4.png"):
        Image.fromarray(picture(0)).save(f"s/{name}")
    with pytest.raises(VideoError, match=r"s/3\.png: is missing in the sequence"):
        fastsr.upscale_video("s/%d.png", "out.mp4", model="nearest")
    with pytest.raises(VideoError, match=r"s/%d\.jpg: no file matches it"):
        fastsr.upscale_video("s/%d.jpg", "out.mp4", model="nearest")
    Image.fromarray(picture(0, 20, 20)).save("s/3.png")
    with pytest.raises(FastsrError, match=r"decode, frame 2: s/3\.png: differs from s/1\.png"):
        fastsr.upscale_video("s/%d.png", "out.mp4", model="nearest")
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 4), np.uint8)).save("s/3.png")
    with pytest.raises(FastsrError, match=r"s/3\.png: has transparency"):
        fastsr.upscale_video("s/%d.png", "out.mp4", model="nearest")
    assert files() == ["s/1.png", "s/2.png", "s/3.png", "s/4.png"]


# ---------------------------------------------------------------- pipes


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
    given = b"".join(picture(number).tobytes() for number in range(5))
    options = ["--model", "nearest", "--scale", "2"]
    done = piped("-", "-o", "-", "--raw", "--raw-size", f"{WIDTH}x{HEIGHT}", "--fps", "10", *options, given=given)
    assert done.returncode == 0, done.stderr
    made = np.frombuffer(done.stdout, np.uint8).reshape(5, 2 * HEIGHT, 2 * WIDTH, 3)
    np.testing.assert_array_equal(made[4][::2, ::2], picture(4))


def test_pipes_are_upright():
    """A pipe cannot say how its pictures are turned, so their pixels are."""
    video("in.mp4", 2, pix_fmt="yuv444p", options={"qp": "0"})
    content = bytearray(Path("in.mp4").read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40
    content[matrix : matrix + 36] = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
    Path("turned.mp4").write_bytes(content)
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


# ---------------------------------------------------------------- previews and bench


def test_preview_clip(cli):
    video("in.mp4", 20, sound=True)
    assert cli("in.mp4", "-o", "out.mp4", "--preview", "--end", "0.4", "--lossless", "--pix-fmt", "yuv444p")[0] == 0
    frames = decoded("out.mp4")
    assert (len(frames), frames[0].width, frames[0].height) == (10, 4 * WIDTH, 2 * HEIGHT)
    made = frames[5].to_ndarray(format="rgb24").astype(float)
    left, right = made[:, : 2 * WIDTH], made[:, 2 * WIDTH :]
    source = decoded("in.mp4")[5].to_ndarray(format="rgb24")
    bicubic = fastsr.load("bicubic").upscale(source, 2)
    nearest = np.repeat(np.repeat(source, 2, 0), 2, 1)
    assert np.abs(left - bicubic).mean() < np.abs(left - nearest).mean()
    assert np.abs(right - nearest).mean() < np.abs(right - bicubic).mean()


def test_preview_strip(cli):
    video("in.mp4", 40, options={"g": "10"})
    assert cli("in.mp4", "-o", "out.png", "--preview")[0] == 0
    with Image.open("out.png") as made:
        assert made.size == (4 * WIDTH, 4 * 2 * HEIGHT)
        rows = np.asarray(made).reshape(4, 2 * HEIGHT, 4 * WIDTH, 3)
    for row, number in zip(rows, (0, 10, 20, 30), strict=True):
        expected = decoded("in.mp4")[number].to_ndarray(format="rgb24")
        assert np.abs(row[::2, 2 * WIDTH :: 2].astype(int) - expected).mean() < 2
    assert np.abs(rows[0].astype(int) - rows[1]).mean() > 5


def test_bench(capsys):
    video("in.mp4", 20)
    assert main(["bench", "in.mp4", "--frames", "8", "--model", "nearest", "--scale", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{WIDTH}x{HEIGHT} -> {2 * WIDTH}x{2 * HEIGHT}")
    assert [line.split()[0] for line in lines[1:5]] == ["decode", "upscale", "encode", "together"]
    rates = {line.split()[0]: float(line.split()[1]) for line in lines[1:4]}
    assert f"limited by {min(rates, key=rates.get)}" in lines[5]
    assert files() == ["in.mp4"]
    assert main(["bench", "missing.mp4"]) == 1
