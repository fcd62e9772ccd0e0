"""Three ways to make a whole video: how long each is said to take, and that their commands are what was measured."""

import re
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.command import files
from support.small_models import compact
from support.video_samples import decoded, video

pytest.importorskip("av")

import fastsr
from fastsr.cli import bench
from fastsr.cli.command import argument_parser, main
from fastsr.cli.durations import duration
from fastsr.network import catalog, heaviness
from fastsr.upscaler import ladder
from fastsr.video import ways
from fastsr.video.pipeline.pace import Pace
from fastsr.video.ways import Way, Ways

pytestmark = pytest.mark.usefixtures("here")


def some_ways(frame_seconds, frames=1000, made_by=None):
    pace = Pace(made_by or {"model": 90, "bicubic": 10}, 0, 0)
    return Ways(25.0, frames, Way("model", None, frame_seconds, pace), Way("l", None, 0.1), Way("b", None, 2.0))


def test_how_long_the_whole_takes():
    given = some_ways(0.01)
    assert [given.seconds(way) for way in (given.in_real_time, given.fast, given.best)] == [40, 100, 2000]
    assert given.keeps_time
    unknown = some_ways(0.01, frames=None)
    assert [unknown.seconds(way) for way in (unknown.in_real_time, unknown.fast, unknown.best)] == [60, 150, 3000]
    slow = some_ways(0.08)
    assert not slow.keeps_time
    assert slow.seconds(slow.in_real_time) == 80


def text_of(given, *arguments):
    return bench._advice(given, argument_parser().parse_args(["bench", "in.mp4", *arguments]))


def test_real_time_out_of_reach_is_said():
    said = text_of(some_ways(0.08)).splitlines()
    assert said[0] == "the whole video, which plays for 0:40, would take:"
    assert said[1].split()[:4] == ["real", "time", "1:20", "0.5x"]
    assert said[-1] == "real time is out of reach here: 12.5 frames/s of 25, made 90% by model, 10% by bicubic"
    assert (
        text_of(some_ways(0.02)).splitlines()[-1] == "in real time, frames would be made 90% by model, 10% by bicubic"
    )
    assert text_of(some_ways(0.02, None)).startswith("each minute of the video, which plays for 1:00, would take:")


@pytest.mark.parametrize(
    ("arguments", "way", "call"),
    [
        ([], Way("m", None, 1), "fastsr upscale in.mp4 --model m"),
        ([], Way("m", "ultrafast", 1), "fastsr upscale in.mp4 --model m --preset ultrafast"),
        (["--scale", "2", "--crf", "30"], Way("m", None, 1), "fastsr upscale in.mp4 --scale 2 --model m --crf 30"),
        (["--model", "a/m.onnx"], Way("m", None, 1), "fastsr upscale in.mp4 --model a/m.onnx"),
        (["--model", "m", "--realism", "0.5"], Way("m", None, 1), "fastsr upscale in.mp4 --model m --realism 0.5"),
        (["--model", "m", "--realism", "0.5"], Way("l", None, 1), "fastsr upscale in.mp4 --model l"),
        (
            ["--codec", "av1", "--memory", "2G"],
            Way("m", None, 1),
            "fastsr upscale in.mp4 --memory 2G --model m --codec av1",
        ),
        (["--precision", "bf16"], None, "fastsr upscale in.mp4 --precision bf16"),
        (["--model", "m", "--crf", "30"], None, "fastsr upscale in.mp4 --model m"),
    ],
)
def test_commands_take_over_what_was_asked_for(arguments, way, call):
    assert bench._command(argument_parser().parse_args(["bench", "in.mp4", *arguments]), way) == call


def test_commands_ask_for_what_was_measured():
    """WebM would get VP9."""
    parsed = argument_parser().parse_args(["bench", "my clip.webm"])
    assert bench._command(parsed, Way("m", None, 1)) == "fastsr upscale 'my clip.webm' --model m --format mkv"
    parsed = argument_parser().parse_args(["bench", "clip.webm", "--codec", "vp9"])
    assert bench._command(parsed, Way("m", None, 1)) == "fastsr upscale clip.webm --model m --codec vp9"


def test_the_commands_run(capsys):
    video("in.mp4", 8, size=(24, 16))
    assert main(["bench", "in.mp4", "--frames", "4", "--scale", "4"]) == 0
    lines = capsys.readouterr().out.splitlines()[-4:]
    calls = [re.search(r"fastsr upscale .*", line)[0] for line in lines[:3]]
    models = {re.search(r"--model (\S+)", call)[1] for call in calls[1:]}
    assert models == {ladder(fastsr.load(catalog.default(4, video=True)))[-1].name, heaviness.best(4).name}
    assert calls[0] == "fastsr upscale in.mp4 -o - --realtime --scale 4 | mpv -"
    assert "--preset ultrafast" in calls[1]
    for call in calls[1:]:
        assert main([*shlex.split(call)[1:], "--force"]) == 0
        assert files() == ["in-x4.mp4", "in.mp4"]
        assert decoded("in-x4.mp4")[0].width == 96
    assert main([*shlex.split(calls[0].partition(" | ")[0])[1:], "--dry-run"]) == 0
    assert re.match(r"in real time, frames would be made|real time is out of reach here", lines[3])


def test_a_named_model_is_the_best(capsys, tmp_path):
    """No score compares it with those that ship; but lighter ones are known."""
    video("in.mp4", 4, size=(24, 16))
    compact(2, channels=128, depth=8).save(tmp_path / "own.onnx")
    assert main(["bench", "in.mp4", "--frames", "2", "--model", "own.onnx"]) == 0
    *_, fast, best, _ = capsys.readouterr().out.splitlines()
    assert "--model own.onnx" in best
    lighter = heaviness.lighter(Path("own.onnx"), 2)
    assert f"--model {lighter[-1]} " in fast


def test_stages_that_share_the_cores_add_up():
    """By as much as those that were measured did."""
    rates = SimpleNamespace(decode=100.0, upscale=20.0, encode=50.0, together=1 / 0.06)  # 0.01 + 0.05 + 0.02
    assert ways._together(rates, 0.05, 0.02) == pytest.approx(0.06)
    assert ways._together(rates, 1.05, 0.02) == pytest.approx(1.05)  # no less than the slowest stage
    assert ways._together(rates, 0.01, 0.02) == pytest.approx(0.03)


def test_heavy_models_are_measured_on_less(monkeypatch):
    """A part of a frame that takes seconds, however heavy the model."""
    video("in.mkv", 6, size=(24, 400))
    seen = []

    def stream(parts, size):
        seen.append((len(parts), parts[0].shape[:2], size))
        yield from parts

    given = [SimpleNamespace(pixels=frame.to_ndarray(format="rgb24")) for frame in decoded("in.mkv")]
    config = SimpleNamespace(size=(48, 800))
    for known, weight in ((0.1, 10), (0.1, 1), (100, 1), (100, 100)):
        ways._upscaling(SimpleNamespace(stream=stream), given, config, known, weight)
    assert seen == [
        (4, (400, 24), (48, 800)),
        (6, (400, 24), (48, 800)),
        (1, (64, 24), (48, 128)),
        (1, (64, 24), (48, 128)),
    ]


def test_durations():
    assert [duration(value) for value in (0.04, 9.94, 9.96, 59.6, 61, 3599.6, 7384)] == [
        *("0.0 s", "9.9 s", "0:10", "1:00", "1:01", "1:00:00", "2:03:04"),
    ]
