"""A node that does not see the driver's files: they are sent to it, and what it makes is sent back."""

import os
import subprocess
from pathlib import Path

import pytest
from support import ray_cluster
from support.cli_images import write_image
from support.command import files
from support.small_models import compact

import fastsr

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def apart(surroundings, tmp_path_factory):
    """The address of a cluster whose only worker is on a node that has an empty folder in the place of this one's."""
    if os.geteuid() or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("needs to be root and permitted to make mount namespaces")
    hidden = tmp_path_factory.mktemp("hidden")
    with ray_cluster.cluster(num_cpus=0) as made, ray_cluster.node_apart(made.address, hidden):
        yield made.address, hidden


@pytest.fixture
def here(apart, monkeypatch):
    monkeypatch.chdir(apart[1])
    return apart[0]


def contents(folder):
    return {name: (Path(folder) / name).read_bytes() for name in files(folder)}


def test_images_and_a_model_are_sent(here, cli):
    for number, suffix in enumerate((".png", ".jpg", ".tif", ".webp")):
        write_image(f"in/{number % 2}/{number}{suffix}", 30, 20, seed=number)
    Path("in/bad.png").write_bytes(b"no image")
    model = compact(2, seed=3).save(Path("own.onnx"))
    code, _, err = cli("in", "-o", "many", "--model", model, "--cluster", here)
    assert code == 1
    assert "fastsr: in/bad.png: not an image" in err
    assert cli("in", "-o", "alone", "--model", model, "--device", "cpu")[0] == 1
    assert contents("many") == contents("alone")
    assert len(contents("many")) == 4


def test_a_video_is_sent(here):
    pytest.importorskip("av", reason="PyAV is not installed")
    from support.video_samples import video

    film = video("in.mp4", 40, options={"g": "7"}, sound=True)
    fastsr.upscale_video(film, "many.mp4", model="fast-x2", segment=10, cluster=here)
    fastsr.upscale_video(film, "one.mp4", model="fast-x2", segment=10)
    assert Path("many.mp4").read_bytes() == Path("one.mp4").read_bytes()
