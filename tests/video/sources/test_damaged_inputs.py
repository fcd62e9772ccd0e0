"""Truncated and corrupted inputs: a clear error or a playable file, never a hang or a crash."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from support.video_samples import decoded, video

pytest.importorskip("av")

ROOT = Path(__file__).parents[3]
CLIPS = Path(os.environ.get("FASTSR_CLIPS", Path(__file__).parents[4] / "shared" / "data" / "video"))
COMMAND = [sys.executable, "-m", "fastsr", "upscale", "--model", "nearest", "--scale", "2", "--preset", "ultrafast"]


def flipped(content, seed, flips):
    """Bytes changed at random places."""
    made, drawn = bytearray(content), random.Random(seed)
    for _ in range(flips):
        made[drawn.randrange(len(made))] ^= drawn.randrange(1, 256)
    return bytes(made)


def outcome(source, target):
    """Run the command on a damaged file in a process of its own; "error" or "playable"."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [*COMMAND, str(source), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert done.returncode in (0, 1), (done.returncode, done.stderr[-2000:])
    assert "Traceback" not in done.stderr, done.stderr[-2000:]
    assert "report it" not in done.stderr, done.stderr[-2000:]
    if done.returncode == 1:
        assert str(source) in done.stderr or str(target) in done.stderr
        assert not target.exists()
        return "error"
    assert len(decoded(target)) > 0
    return "playable"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    make = {"in.mp4": {"options": {"g": "10"}}, "in.mkv": {"options": {"g": "10"}}, "in.avi": {"codec": "mpeg4"}}
    return {
        name: video(folder / name, 40, sound=name != "in.avi", **extra).read_bytes() for name, extra in make.items()
    }


@pytest.mark.parametrize("name", ["in.mp4", "in.mkv", "in.avi"])
def test_flipped_bytes(tmp_path, whole, name):
    source = tmp_path / name
    source.write_bytes(flipped(whole[name], 1, 20))
    outcome(source, tmp_path / "out.mkv")


@pytest.mark.parametrize(("name", "share", "expected"), [("in.mp4", 0.6, "error"), ("in.mkv", 0.6, "playable")])
def test_truncated(tmp_path, whole, name, share, expected):
    """An MP4's index is at its end, so nothing can be read of one that lacks it; Matroska is read up to the cut."""
    source = tmp_path / name
    source.write_bytes(whole[name][: int(len(whole[name]) * share)])
    assert outcome(source, tmp_path / "out.mkv") == expected


def test_damage_inside_is_skipped_and_counted(tmp_path):
    """One packet of the frames is overwritten: the rest is made, and a warning says how many were left out."""
    import av

    import fastsr

    source = video(tmp_path / "in.mkv", 40, options={"g": "10"})
    with av.open(str(source)) as given:
        spoiled = bytes(next(p for n, p in enumerate(given.demux(video=0)) if n == 15))
    content = source.read_bytes()
    at = content.index(spoiled)
    source.write_bytes(content[:at] + b"\xff" * len(spoiled) + content[at + len(spoiled) :])
    with pytest.warns(RuntimeWarning, match="damaged packets were left out"):
        result = fastsr.upscale_video(source, tmp_path / "out.mkv", model="nearest", scale=2)
    assert result.damaged > 0
    assert 20 < result.frames < 40
    assert len(decoded(tmp_path / "out.mkv")) == result.frames


@pytest.mark.slow
@pytest.mark.parametrize("name", ["in.mp4", "in.mkv", "in.avi"])
def test_flipped_bytes_many_times(tmp_path, whole, name):
    seen = []
    for seed in range(50):
        source = tmp_path / name
        source.write_bytes(flipped(whole[name], seed, 1 + seed))
        target = tmp_path / f"out{seed}.mkv"
        seen.append(outcome(source, target))
        target.unlink(missing_ok=True)
    assert "playable" in seen


@pytest.mark.slow
@pytest.mark.skipif(not CLIPS.is_dir(), reason=f"no clips in {CLIPS}; name their folder with FASTSR_CLIPS")
def test_a_real_video_with_flipped_bytes(tmp_path):
    """50 seeds on the first part of a video whose index is at its begin: each decodes something or nothing."""
    whole = tmp_path / "whole.mkv"
    import fastsr

    clip = CLIPS / "bbb_480p_30s.mp4"
    fastsr.upscale_video(clip, whole, model="nearest", scale=0.25, start=4, end=6)
    content = whole.read_bytes()
    seen = []
    for seed in range(50):
        source = tmp_path / "in.mkv"
        source.write_bytes(flipped(content, seed, 1 + seed // 2))
        target = tmp_path / "out.mkv"
        seen.append(outcome(source, target))
        target.unlink(missing_ok=True)
    assert "playable" in seen
