"""Work that a killed run leaves, and what becomes of it."""

import json
import random
import re
import shutil
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from support.video_runs import Kill, digest, names, stop_after
from support.video_samples import constant, decoded, frame_pixels, video

pytest.importorskip("av")

import fastsr
from fastsr.cli.command import main
from fastsr.errors import VideoError
from fastsr.video.outputs import segment_store

ROOT = Path(__file__).parents[2]
OPTIONS = {"model": "bicubic", "scale": 2, "segment": 6}


@pytest.fixture(params=["regular", "long GOP, irregular", "intra"])
def source(request, tmp_path):
    options, times = {
        "regular": ({"g": "8"}, constant(40)),
        "long GOP, irregular": ({"g": "250", "bf": "3"}, [i * 500 + (i % 3) * 77 + 999 for i in range(40)]),
        "intra": ({"g": "1"}, constant(40)),
    }[request.param]
    return video(tmp_path / "in.mp4", times=times, options=options, sound=True)


@pytest.mark.parametrize("extra", [{}, {"start": 0.3, "end": 1.5, "fps_limit": 20}, {"codec": "av1", "scale": 3}])
def test_the_result_is_that_of_an_uninterrupted_run(tmp_path, source, extra):
    options = {**OPTIONS, **extra}
    whole = fastsr.upscale_video(source, tmp_path / "whole.mp4", **options)
    target = tmp_path / "out.mp4"
    for stop in (14, 3, 8):
        with pytest.raises(Kill):
            fastsr.upscale_video(source, target, progress=stop_after(stop), **options)
    assert names(tmp_path) == [".out.mp4.fastsr-work", "in.mp4", "whole.mp4"]
    result = fastsr.upscale_video(source, target, **options)
    assert result.frames == whole.frames
    assert result.resumed > 0
    assert digest(target) == digest(tmp_path / "whole.mp4")
    assert names(tmp_path) == ["in.mp4", "out.mp4", "whole.mp4"]


def test_finished_segments_are_not_made_again(tmp_path):
    source = video(tmp_path / "in.mp4", 30, options={"g": "6"})
    with pytest.raises(Kill):
        fastsr.upscale_video(source, tmp_path / "out.mp4", progress=stop_after(20), **OPTIONS)
    seen = []
    result = fastsr.upscale_video(source, tmp_path / "out.mp4", progress=seen.append, **OPTIONS)
    assert result.resumed == 18
    assert [now.frames for now in seen] == list(range(19, 31))


@pytest.mark.parametrize("change", ["source", "scale", "crf", "model", "cut"])
def test_work_for_something_else_is_not_taken(tmp_path, change):
    source = video(tmp_path / "in.mp4", 30, options={"g": "6"})
    with pytest.raises(Kill):
        fastsr.upscale_video(source, tmp_path / "out.mp4", progress=stop_after(20), **OPTIONS)
    changed = {"scale": {"scale": 3}, "crf": {"crf": 30}, "model": {"model": "nearest"}, "cut": {"start": 0.1}}
    if change == "source":
        video(source, 30, pixels=lambda n, w, h: frame_pixels(n + 5, w, h))
    options = {**OPTIONS, **changed.get(change, {})}
    assert fastsr.upscale_video(source, tmp_path / "out.mp4", **options).resumed == 0
    fastsr.upscale_video(source, tmp_path / "whole.mp4", **options)
    assert digest(tmp_path / "out.mp4") == digest(tmp_path / "whole.mp4")


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_damaged_segments_are_made_again(tmp_path, damage):
    source = video(tmp_path / "in.mp4", 30, options={"g": "6"})
    fastsr.upscale_video(source, tmp_path / "whole.mp4", **OPTIONS)
    with pytest.raises(Kill):
        fastsr.upscale_video(source, tmp_path / "out.mp4", progress=stop_after(26), **OPTIONS)
    second = sorted((tmp_path / ".out.mp4.fastsr-work").glob("*.segment"))[1]
    content = bytearray(second.read_bytes())
    content[len(content) // 2] ^= 1
    second.write_bytes({"flip": bytes(content), "cut": bytes(content[:-30]), "empty": b""}[damage])
    assert fastsr.upscale_video(source, tmp_path / "out.mp4", **OPTIONS).resumed == 6
    assert digest(tmp_path / "out.mp4") == digest(tmp_path / "whole.mp4")


def killed_at_random(tmp_path, kills, seed, frames, segment):
    """Run the command, killing it at random times, until it has finished; returns how often it was killed."""
    source = video(tmp_path / "in.mp4", frames, options={"g": "20"}, sound=True, size=(96, 64))
    target, drawn = tmp_path / "out.mp4", random.Random(seed)
    code = (
        "import sys, time, fastsr\n"
        "fastsr.upscale_video(sys.argv[1], sys.argv[2], model='bicubic', scale=2, segment=int(sys.argv[3]), "
        "progress=lambda now: time.sleep(0.02))"
    )
    command = [sys.executable, "-c", code, str(source), str(target), str(segment)]
    count = 0
    for _ in range(100 * kills):
        process = subprocess.Popen(command, cwd=ROOT)
        try:
            process.wait(drawn.uniform(0.5, 2.5) if count < kills else None)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            count += 1
            continue
        assert process.returncode == 0
        break
    whole = tmp_path / "whole.mp4"
    fastsr.upscale_video(source, whole, model="bicubic", scale=2, segment=segment)
    assert len(decoded(target)) == frames
    assert digest(target) == digest(whole)
    assert names(tmp_path) == ["in.mp4", "out.mp4", "whole.mp4"]
    return count


def test_killed_at_random(tmp_path):
    assert killed_at_random(tmp_path, 2, 1, 120, 10) > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_killed_at_random_many_times(tmp_path, seed):
    assert killed_at_random(tmp_path, 10, seed, 400, 25) > 5


def half_made(tmp_path):
    """A video of which a killed run has made 18 of 30 frames; the video and the folder of its unfinished work."""
    source = video(tmp_path / "in.mp4", 30, options={"g": "6"})
    with pytest.raises(Kill):
        fastsr.upscale_video(source, tmp_path / "out.mp4", progress=stop_after(20), **OPTIONS)
    return source, tmp_path / ".out.mp4.fastsr-work"


def as_version_2_wrote_it(job):
    """What version 2 of the folder's format said of the same work; its segments are stored as they are today."""
    colors = {"matrix": 2, "primaries": 2, "range": 0, "transfer": 2}
    encoding = {
        "aspect": None,
        "codec": "h264",
        "colors": colors,
        "encoder": "libx264",
        "options": {"crf": "21", "preset": "superfast", "x264-params": "mbtree=0:subme=2"},
        "pix_fmt": "yuv420p",
        "rate": "25",
        "size": [96, 64],
        "threads": 8,
        "time_base": "1/12800",
    }
    kept = {name: job[name] for name in ("source", "upscaler", "size", "pyav", "libraries", "deinterlace", "segment")}
    cut = {"end": None, "fps_limit": None, "start": None}
    return {**kept, "version": 2, "cut": cut, "encoding": encoding, "rate": "25"}


def without_a_version(job):
    return {name: value for name, value in as_version_2_wrote_it(job).items() if name != "version"}


def of_a_later_version(job):
    return {**job, "version": segment_store.VERSION + 1}


def content(folder):
    """Names, bytes, modes and times of change of all files in a folder."""
    states = {path.name: path.stat() for path in sorted(folder.iterdir())}
    return {name: ((folder / name).read_bytes(), at.st_mode, at.st_mtime_ns) for name, at in states.items()}


@pytest.mark.parametrize("written", [as_version_2_wrote_it, without_a_version, of_a_later_version])
def test_work_of_another_version_is_refused_and_kept(tmp_path, capsys, written):
    source, folder = half_made(tmp_path)
    job = json.loads((folder / "job.json").read_text())
    (folder / "job.json").write_text(json.dumps(written(job), indent=1, sort_keys=True))
    before = content(folder)
    assert [name for name in before if name.endswith(".segment")] == [f"{n:06d}.segment" for n in range(3)]
    refusal = (
        rf"unfinished work in {folder} was begun by another version of fastsr; finish it with that version, or del"
    )
    with pytest.raises(VideoError, match=refusal):
        fastsr.upscale_video(source, tmp_path / "out.mp4", **OPTIONS)
    command = ["upscale", str(source), "-o", str(tmp_path / "out.mp4"), "--model", "bicubic", "--scale", "2", "--force"]
    assert main(command) == 1
    assert re.search(refusal, capsys.readouterr().err)
    assert content(folder) == before
    assert names(tmp_path) == [".out.mp4.fastsr-work", "in.mp4"]
    shutil.rmtree(folder)
    assert fastsr.upscale_video(source, tmp_path / "out.mp4", **OPTIONS).resumed == 0


def test_what_work_depends_on_is_written_as_plain_values(tmp_path):
    """As text of its own, so that no class or field can be renamed at the cost of somebody's unfinished work."""
    source = video(tmp_path / "in.mp4", 30, options={"g": "6"}, aspect=Fraction(4, 3), colors=(1, 1, 1, 1))
    asked = {"start": 0.04, "end": 1, "fps_limit": 12.5, "deinterlace": True, "codec": "hevc", "crf": 30}
    with pytest.raises(Kill):
        fastsr.upscale_video(source, tmp_path / "out.mp4", progress=stop_after(8), **{**OPTIONS, **asked})
    job = json.loads((tmp_path / ".out.mp4.fastsr-work" / "job.json").read_text())
    for name in ("upscaler", "pyav", "libraries"):
        assert job.pop(name)
    assert job == {
        "version": 4,
        "source": [str(source), source.stat().st_size, source.stat().st_mtime_ns],
        "time_range": {"start": "1/25", "end": "1", "fps_limit": "25/2"},
        "deinterlace": True,
        "segment": 6,
        "rate": "25",
        "size": [96, 64],
        "encoder": {
            "codec": "hevc",
            "encoder": "libx265",
            "pix_fmt": "yuv420p",
            "size": [96, 64],
            "colors": {"matrix": 1, "range": 1, "primaries": 1, "transfer": 1},
            "aspect": "4/3",
            "time_base": "1/12800",
            "rate": "25",
            "threads": 8,
            "options": {"preset": "veryfast", "crf": "30", "x265-params": "log-level=error:info=0"},
        },
    }


def test_work_made_with_other_encoder_settings_is_not_taken(tmp_path, monkeypatch):
    source = video(tmp_path / "in.mp4", 30, options={"g": "6"})
    with pytest.raises(Kill):
        fastsr.upscale_video(source, tmp_path / "out.mp4", progress=stop_after(20), **OPTIONS)
    monkeypatch.setattr("fastsr.video.arguments.THREADS", 3)
    assert fastsr.upscale_video(source, tmp_path / "out.mp4", **OPTIONS).resumed == 0
