"""A large image made in parts, in any order, by stand-ins for workers: the file is that of one machine."""

import random
from pathlib import Path

import pytest
from PIL import Image
from support.cli_images import write_image

import fastsr
from fastsr.cluster import image_parts
from fastsr.cluster.image_job import local_job
from fastsr.cluster.image_task import ImageStorage, ImageTask
from fastsr.cluster.worker import Here, done
from fastsr.errors import EngineError
from fastsr.image_file import ImageRequest

OPTIONS = {"device": "cpu", "precision": "auto", "engine": "auto", "tile": None}
OPTIONS |= {"realism": None, "blend": 1, "overlap": None, "memory": None}


class Workers:
    """Does parts in this process, in any order; each of two nodes may not see the source."""

    def __init__(self, seed=0, fails_at=None):
        self.parts, self._drawn, self._fails_at = 0, random.Random(seed), fails_at
        self._hosts = {"a": Here(), "b": Here()}

    def run(self, tasks):
        self._drawn.shuffle(tasks)
        for task in tasks:
            node = self._drawn.choice("ab")
            self.parts += 1
            came = done(task.work(node)[0], self._hosts[node])
            if self.parts == self._fails_at:
                raise EngineError("the cluster has no worker")
            yield task, task.settled(came, node), f"{node}/1"


@pytest.fixture
def storage(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(image_parts, "WIDTH", 64)
    monkeypatch.setattr(image_parts, "HEIGHT", 40)
    monkeypatch.setattr(image_parts, "LARGE", 10_000)
    monkeypatch.setattr(image_parts, "_LEAST_BYTES", 1)
    made = ImageStorage()
    yield made
    made.close()


def task_of(source, target, storage, **asked):
    request = ImageRequest(model="fast-x2", **asked)
    return ImageTask(Path(source), Path(target), local_job(request, OPTIONS, allow_huge=False), storage)


@pytest.mark.parametrize("asked", [{}, {"scale": 1.7}, {"size": (191, 130)}, {"region": (11, 7, 150, 140)}])
@pytest.mark.parametrize("target", ["large.png", "large.tif"])
def test_the_same_file(storage, target, asked):
    write_image("in.png", 90, 75)
    task, workers = task_of("in.png", f"parts/{target}", storage, **asked), Workers()
    assert image_parts.is_large(task)
    came, names = image_parts.made_in_parts(task, workers)
    assert came.error is None
    assert names == "a/1, b/1"
    assert workers.parts >= 6
    assert fastsr.upscale_many({"in.png": f"alone/{target}"}, model="fast-x2", device="cpu", **asked)[0].error is None
    assert Path("parts", target).read_bytes() == Path("alone", target).read_bytes()
    with Image.open(f"parts/{target}") as made:
        assert made.size == came.value.size


@pytest.mark.parametrize("kind", ["small", "transparent", "jpeg"])
def test_what_goes_whole(storage, kind):
    target = "large.jpg" if kind == "jpeg" else "large.png"
    write_image("in.png", 10 if kind == "small" else 90, 10 if kind == "small" else 75)
    if kind == "transparent":
        Image.open("in.png").convert("RGBA").save("in.png")
    task = task_of("in.png", target, storage)
    assert image_parts.is_large(task) is (kind == "transparent")
    if kind == "transparent":
        assert image_parts.made_in_parts(task, Workers()) is None
    assert not Path(target).exists()


def test_nothing_half_is_left_where_a_part_fails(storage):
    write_image("in.png", 90, 75)
    came, _ = image_parts.made_in_parts(task_of("in.png", "new/large.png", storage), Workers(fails_at=7))
    assert "no worker" in str(came.error)
    storage.close()
    assert not Path("new").exists()
