"""Videos on the command line: which inputs make which outputs, progress, previews, bench."""

import json
import os
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.command import files, on_terminal
from support.video_samples import HEIGHT, WIDTH, decoded, frame_pixels, packets, shown, video

av = pytest.importorskip("av")

import fastsr  # noqa: E402
from fastsr.cli.command import main  # noqa: E402

pytestmark = pytest.mark.usefixtures("here")


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
    Path("videos").mkdir()
    video("videos/b.mkv", 4)
    video("videos/c.avi", 5, codec="mpeg4")
    Image.fromarray(frame_pixels(0)).save("videos/d.png")
    code, out, _ = cli("a.mp4", "videos", "-o", "large")
    assert (code, out) == (0, "4 made\n")
    assert files("large") == ["a.mp4", "b.mkv", "c.mkv", "d.png"]
    assert [len(decoded(f"large/{name}")) for name in ("a.mp4", "b.mkv", "c.mkv")] == [3, 4, 5]
    assert cli("videos/*.mkv", "-o", "globbed")[0] == 0
    assert files("globbed") == ["b.mkv"]


def test_results_of_an_earlier_run_are_no_inputs(cli):
    Path("videos").mkdir()
    video("videos/a.mp4", 3)
    for _ in range(2):
        assert cli("videos", "-o", "videos/large", "--force")[:2] == (0, "1 made\n")
    assert files() == ["videos/a.mp4", "videos/large/a.mp4"]


def test_sources_in_typescript_are_no_videos(cli):
    Path("project").mkdir()
    video("project/a.mp4", 3)
    Path("project/main.ts").write_text("export {};")
    assert cli("project", "-o", "large")[:2] == (0, "1 made, 1 skipped (1 not images)\n")


def test_one_that_fails_does_not_stop_the_others(cli):
    Path("a.mp4").write_bytes(b"no video" * 99)
    video("b.mp4", 3)
    code, out, err = cli("a.mp4", "b.mp4", "-o", "large")
    assert (code, out) == (1, "1 made, 1 failed\n")
    assert "fastsr: a.mp4: cannot be opened as a video" in err
    assert files("large") == ["b.mp4"]


def test_gif_becomes_a_video_or_an_animation(cli):
    images = [Image.fromarray(frame_pixels(number)) for number in range(3)]
    images[0].save("in.gif", save_all=True, append_images=images[1:], duration=[100, 50, 70])
    assert cli("in.gif", "-o", "out.mp4")[0] == 0
    assert [time for time, _ in shown("out.mp4")] == [0, Fraction(1, 10), Fraction(15, 100)]
    assert cli("in.gif", "-o", "out.gif")[0] == 0
    with Image.open("out.gif") as made:
        assert (made.n_frames, made.size) == (3, (2 * WIDTH, 2 * HEIGHT))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["in.mp4", "-o", "out.avi.txt/"], "out.avi.txt"),
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
    Image.fromarray(frame_pixels(0)).save("a.png")
    before = files()
    code, _, err = cli(*arguments)
    if arguments[-1] == "out.avi.txt/":
        assert code == 0  # a folder, whatever its name looks like
        return
    assert code == 1
    assert says in err
    assert files() == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["in.mp4", "b.mp4", "-o", "out.mp4"], "out.mp4: names one video, but the input is several"),
        (["in.mp4", "-o", "out.gif"], "out.gif: a video cannot be written as .gif; use one of .mp4"),
        (["in.mp4", "-o", "out.avi"], "out.avi: a video cannot be written as .avi; use one of .mp4"),
        (["a.png", "-o", "out.png", "--crf", "3"], "--crf is for videos, but no input is one"),
        (["in.mp4", "-o", "out.ts"], "out.ts: a video cannot be written as .ts; use one of .mp4"),
        (["-", "in.mp4"], "standard input: is a video without a name; name the output with -o"),
        (["frames/%05d.png"], "frames/%05d.png: is a video without a name; name the output with -o"),
    ],
)
def test_wrong_calls(cli, arguments, says, monkeypatch):
    monkeypatch.setattr("fastsr.cli.videos.standard_input_is_image", lambda arguments: False)
    video("in.mp4", 3)
    video("b.mp4", 3)
    before = files()
    code, _, err = cli(*arguments)
    assert (code, err.count("\n")) == (2, 1)
    assert says in err
    assert files() == before


def test_names_and_sizes_as_images_have_them(cli):
    video("in.mp4", 3)
    Path("videos").mkdir()
    video("videos/b.avi", 3, codec="mpeg4")
    assert cli("in.mp4")[:2] == (0, f"1 made: in-x2.mp4 ({2 * WIDTH}x{2 * HEIGHT}, nearest)\n")
    assert cli("in.mp4", "--suffix", "-big", "--format", "mkv")[0] == 0
    assert cli("videos")[0] == 0
    assert files() == ["in-big.mkv", "in-x2.mp4", "in.mp4", "videos-x2/b.mkv", "videos/b.avi"]
    for option, expected in ((["--size", f"{WIDTH}x"], (WIDTH, HEIGHT)), (["--fit", "200x200"], (200, 134))):
        assert main(["upscale", "in.mp4", "-o", "out.mp4", "--model", "nearest", *option, "--force"]) == 0
        frame = decoded("out.mp4")[0]
        assert (frame.width, frame.height) == expected


def test_a_changed_source_makes_a_video_again(cli):
    video("in.mp4", 3)
    assert cli("in.mp4", "-o", "out.mp4")[1] == "1 made\n"
    video("in.mp4", 5)
    later = Path("out.mp4").stat().st_mtime + 5
    os.utime("in.mp4", (later, later))
    assert cli("in.mp4", "-o", "out.mp4", "--keep")[1] == "0 made, 1 already there (--force makes them again)\n"
    assert cli("in.mp4", "-o", "out.mp4")[1] == "1 made\n"
    assert len(decoded("out.mp4")) == 5


def test_another_size_makes_a_video_again(cli, capsys):
    video("in.mp4", 3, size=(50, 34))
    there = "0 made, 1 already there (--force makes them again)\n"
    assert [cli("in.mp4", "-o", "out.mp4")[1] for _ in range(2)] == ["1 made\n", there]
    for size, made in ((["--scale", "1.3"], [66, 44]), (["--size", "96x"], [96, 66])):
        call = ["upscale", "in.mp4", "-o", "out.mp4", "--model", "nearest", *size]
        assert main([*call, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["size"] == made  # rounded up to what 4:2:0 holds
        assert main(call) == 0
        assert capsys.readouterr().out == there
    Path("out.mp4").write_bytes(b"no video")
    assert cli("in.mp4", "-o", "out.mp4")[1] == "1 made\n"


def test_json_and_dry_runs(cli):
    video("in.mp4", 3)
    code, out, _ = cli("in.mp4", "-o", "out.mp4", "--json")
    told = json.loads(out)
    assert (code, told["status"], told["source"], told["target"]) == (0, "made", "in.mp4", "out.mp4")
    assert (told["source_size"], told["size"]) == ([WIDTH, HEIGHT], [2 * WIDTH, 2 * HEIGHT])
    assert (told["model"], told["frames"]) == ("nearest", 3)
    assert cli("in.mp4", "-o", "new/out.mp4", "--dry-run")[:2] == (0, "in.mp4 -> new/out.mp4\n1 to make\n")
    assert files() == ["in.mp4", "out.mp4"]


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
    assert lines[7] == "the whole video, which plays for 0.8 s, would take:"
    assert [re.split(r"  +", line)[0] for line in lines[8:11]] == ["real time", "fast", "best"]
    assert files() == ["in.mp4"]
    assert main(["bench", "missing.mp4"]) == 1
