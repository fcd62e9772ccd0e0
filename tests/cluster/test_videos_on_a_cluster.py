"""Videos made by a cluster of three nodes: the bytes of one machine, whatever is killed meanwhile."""

import json
import signal
from pathlib import Path

import pytest
from support.ray_cluster import driver, wait_for

import fastsr

pytest.importorskip("av", reason="PyAV is not installed")
from support.video_samples import video

pytestmark = pytest.mark.slow


@pytest.fixture
def film(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return video(tmp_path / "in.mp4", 90, options={"g": "7"}, sound=True)


def test_the_same_bytes(three_nodes, film, cli):
    fastsr.upscale_video(film, "one.mp4", model="fast-x2", segment=10)
    seen = []
    cluster = three_nodes.address
    many = fastsr.upscale_video(film, "many.mp4", model="fast-x2", segment=10, cluster=cluster, progress=seen.append)
    assert Path("many.mp4").read_bytes() == Path("one.mp4").read_bytes()
    assert many.frames == seen[-1].frames == 90
    assert len(seen) == 7


def test_the_command(three_nodes, film, cli):
    assert cli("in.mp4", "-o", "one.mp4", "--quiet")[0] == 0
    code, out, err = cli("in.mp4", "-o", "many.mp4", "--cluster", three_nodes.address, "--json")
    assert code == 0, err
    assert json.loads(out)["frames"] == 90
    assert Path("many.mp4").read_bytes() == Path("one.mp4").read_bytes()


def test_a_driver_that_is_stopped_or_killed_goes_on(three_nodes, film):
    code = (
        "import sys, fastsr\n"
        "fastsr.upscale_video('in.mp4', 'many.mp4', model='photo-x4', segment=5, cluster=sys.argv[1], "
        "progress=lambda now: print(now.frames, flush=True), interrupted=lambda *told: None)"
    )
    for way in (signal.SIGINT, signal.SIGKILL):
        with driver(three_nodes.address, code=code) as process:
            begun = int(process.stdout.readline())
            process.send_signal(way)
            process.communicate(timeout=60)
    assert begun > 5  # what the first run had made is there
    wait_for(lambda: Path(".many.mp4.fastsr-work").exists())
    with driver(three_nodes.address, code=code) as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert out.split()[-1] == "90"
    fastsr.upscale_video(film, "one.mp4", model="photo-x4", segment=5, device="cpu", precision="auto")
    assert Path("many.mp4").read_bytes() == Path("one.mp4").read_bytes()
    assert sorted(path.name for path in Path().iterdir()) == ["in.mp4", "many.mp4", "one.mp4"]
