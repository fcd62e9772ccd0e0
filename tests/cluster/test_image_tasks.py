"""Images as work, done in this process: what a worker sees, what is sent, and what is found out of shared folders."""

from pathlib import Path

import pytest
from support.cli_images import size, write_image
from support.command import files

import fastsr
from fastsr.cluster.image_job import image_job, local_job
from fastsr.cluster.image_task import ImageStorage, ImageTask
from fastsr.cluster.pinned_model import PinnedModel, digest_of, pinned
from fastsr.cluster.sameness import Installation, installation, is_exact
from fastsr.cluster.shared_storage import UNSEEN, OutputFolders, is_shared
from fastsr.cluster.worker import Place, done
from fastsr.errors import ClusterError, FastsrError
from fastsr.image_file import ImageRequest
from fastsr.network import catalog

OPTIONS = {"device": "cpu", "precision": "auto", "engine": "auto", "tile": None}
OPTIONS |= {"realism": None, "blend": 1, "overlap": None, "memory": None}


class Elsewhere:
    """A worker without the files of this machine, as far as paths below `hidden` go."""

    place = Place(threads=1, share=0.5, gpu=False)

    def __init__(self, contents=()):
        self.kept, self.asked, self._contents = {}, [], dict(contents)

    def content(self, digest):
        self.asked.append(digest)
        return self._contents[digest]


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTSR_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def storage():
    made = ImageStorage()
    yield made
    made.close()


@pytest.fixture
def job():
    return local_job(ImageRequest(model="fast-x2"), OPTIONS, allow_huge=False)


def test_a_worker_that_sees_both_folders_reads_and_writes_itself(storage, job):
    task = ImageTask(write_image("in/a.png"), Path("out/deep/a.png"), job, storage)
    work, sent = task.work("node")
    came = done(work, Elsewhere())
    assert (sent, came.error, came.value.content) == (0, None, None)
    assert size("out/deep/a.png") == came.value.size == (16, 12)
    assert task.settled(came, "node") is came
    storage.close()
    assert files("out") == ["deep/a.png"]


def test_what_a_worker_does_not_see_is_sent(storage, job, monkeypatch):
    task = ImageTask(write_image("in/a.png", seed=1), Path("out/a.png"), job, storage)
    work, _ = task.work("node")
    with monkeypatch.context() as hidden:
        hidden.setattr("fastsr.cluster.image_task.identity", lambda path: None)
        came = done(work, Elsewhere())
    assert came.value == UNSEEN
    assert task.settled(came, "node") is None
    work, sent = task.work("node")
    assert sent == Path("in/a.png").stat().st_size
    assert ImageTask(Path("in/b.png"), Path("out/b.png"), job, storage)._storage.sees("other", Path("in").absolute())
    monkeypatch.setattr("fastsr.cluster.image_task.is_shared", lambda folder, token: False)
    came = done(work, Elsewhere())
    assert not Path("out/a.png").exists()
    assert task.settled(came, "node").value.content is None
    alone = fastsr.upscale_many({"in/a.png": "alone.png"}, model="fast-x2", device="cpu")
    assert alone[0].error is None
    assert Path("out/a.png").read_bytes() == Path("alone.png").read_bytes()


def test_another_file_in_the_same_place_is_not_taken(storage, job):
    task = ImageTask(write_image("in/a.png"), Path("out/a.png"), job, storage)
    work, _ = task.work("node")
    write_image("in/a.png", 20, 20)
    assert done(work, Elsewhere()).value == UNSEEN


def test_errors_name_the_files_as_the_user_did(storage, job, monkeypatch):
    Path("in").mkdir()
    Path("in/a.png").write_bytes(b"none")
    storage.unseen("node", Path("in").absolute())
    work, sent = ImageTask(Path("in/a.png"), Path("out/a.png"), job, storage).work("node")
    assert sent == 4
    assert str(done(work, Elsewhere()).error).startswith("in/a.png: not an image")
    with pytest.raises(FastsrError, match=r"in/b\.png: no such file"):
        ImageTask(Path("in/b.png"), Path("out/b.png"), job, storage).work("node")


def test_what_a_dead_worker_had_written_is_not_made_again(storage, job):
    made, lost = (ImageTask(write_image(f"in/{n}.png"), Path(f"out/{n}.png"), job, storage) for n in (1, 2))
    assert done(made.work("node")[0], Elsewhere()).error is None
    lost.work("node")
    assert made.after_death().value.size == (16, 12)
    assert lost.after_death() is None


def test_folders_made_for_nothing_are_removed(storage, job):
    Path("there").mkdir()
    Path("in").mkdir()
    Path("in/a.png").write_bytes(b"none")
    task = ImageTask(Path("in/a.png"), Path("there/new/deep/a.png"), job, storage)
    task.settled(done(task.work("node")[0], Elsewhere()), "node")
    storage.close()
    assert files(".") == ["in/a.png"]
    assert Path("there").is_dir()
    assert not Path("there/new").exists()


def test_a_token_lies_in_a_folder_as_long_as_results_are_on_their_way(tmp_path):
    folders = OutputFolders()
    token = folders.enter(tmp_path / "out")
    assert folders.enter(tmp_path / "out") == token
    assert is_shared(tmp_path / "out", token)
    assert not is_shared(tmp_path / "out", "another")
    assert not is_shared(tmp_path / "out", "")
    folders.leave(tmp_path / "out")
    assert is_shared(tmp_path / "out", token)
    folders.leave(tmp_path / "out")
    assert files(tmp_path / "out") == []
    folders.close()


def test_a_model_is_sent_to_who_lacks_it_once(tmp_path):
    own = tmp_path / "own.onnx"
    own.write_bytes(catalog.models()["fast-x2"].path.read_bytes())
    model, content = pinned(str(own), OPTIONS, fastsr.load(own, device="cpu"))
    assert model.digest == digest_of(own)
    own.unlink()
    worker = Elsewhere({model.digest: content})
    first = model.load(worker.content, 1, False)
    assert first.fingerprint == model.fingerprint
    assert model.load(worker.content, 1, False).fingerprint == model.fingerprint
    assert worker.asked == [model.digest]


def test_a_shipped_model_is_not_sent():
    model, _ = pinned("fast-x2", OPTIONS, fastsr.load("fast-x2", device="cpu"))
    assert model.load(Elsewhere().content, 1, False).name == "fast-x2"


def test_a_worker_that_would_make_something_else_refuses():
    model = PinnedModel("bicubic", "", "", OPTIONS, "another fingerprint")
    with pytest.raises(ClusterError, match=r"is 'bicubic .*' on a worker, but 'another fingerprint' is wanted"):
        model.load(Elsewhere().content, 1, False)


@pytest.mark.parametrize(("precision", "exact"), [("fp32", True), ("int8", True), ("bf16", False)])
def test_which_results_are_the_same_everywhere(precision, exact):
    options = {**OPTIONS, "precision": precision}
    loaded = fastsr.load("fast-x2", **options)
    if loaded.precision != precision:
        pytest.skip(f"{precision} does not run here")
    assert is_exact(loaded) is exact
    request = ImageRequest(model="fast-x2", precision=precision)
    if exact:
        job, _ = image_job(request, options, lambda name: loaded, allow_huge=False, any_device=False)
        assert job.models["fast-x2"].options["precision"] == precision
    else:
        with pytest.raises(ClusterError, match="other bytes on other processors; add --any-device"):
            image_job(request, options, lambda name: loaded, allow_huge=False, any_device=False)


def test_installations_that_differ():
    here = installation()
    assert here.differences(here, video=True) == []
    there = Installation({**here.versions, "pillow": "1.0", "av": "2.0"}, "portable")
    pillow, av = f"pillow 1.0, here {here.versions['pillow']}", f"av 2.0, here {here.versions.get('av', 'none')}"
    isa = [] if here.isa == "portable" else [f"instruction set portable, here {here.isa}"]
    assert here.differences(there, video=False) == [pillow, *isa]
    assert here.differences(there, video=True) == [av, pillow, *isa]
    assert Installation({}, here.isa).differences(Installation({"fastsr": "1"}, here.isa), video=False) == [
        "fastsr 1, here none"
    ]


def test_upscale_many_here_makes_what_the_command_makes(cli):
    for name in ("a.png", "b.jpg"):
        write_image(f"in/{name}", seed=ord(name[0]))
    assert cli("in", "-o", "command", "--scale", "3")[0] == 0
    made = fastsr.upscale_many([(f"in/{n}", f"here/{n}") for n in ("a.png", "b.jpg")], scale=3, model="bicubic")
    assert [(m.error, m.model, m.engine, m.size) for m in made] == [(None, "bicubic", "pillow", (24, 18))] * 2
    for name in ("a.png", "b.jpg"):
        assert Path("here", name).read_bytes() == Path("command", name).read_bytes()


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"a.png": "a.png"}, "would replace a.png, which is a source"),
        ({"a.png": "c.png", "b.png": "./c.png"}, "is also that of another source"),
        ({"a.png": "c.xyz"}, "c.xyz"),
    ],
)
def test_targets_that_cannot_be(files, fault):
    for name in ("a.png", "b.png"):
        write_image(name)
    with pytest.raises(FastsrError, match=fault.replace(".", r"\.")):
        fastsr.upscale_many(files)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["a.png", "--any-device"], "--any-device is for --cluster"),
        (["a.png", "--cluster", ""], "--cluster is the empty text"),
        (["-", "-o", "b.png", "--cluster", "auto"], "--cluster is for files"),
        (["a.png", "-o", "-", "--cluster", "auto"], "--cluster is for files"),
        (["a.png", "--device", "cuda", "--cluster", "auto"], "--cluster takes GPUs too with --any-device"),
    ],
)
def test_wrong_calls(cli, arguments, fault):
    write_image("a.png")
    code, _, err = cli(*arguments)
    assert code == 2
    assert fault in err
    assert files(".") == ["a.png"]


def test_a_dry_run_needs_no_cluster(cli):
    write_image("a.png")
    assert cli("a.png", "--cluster", "127.0.0.1:1", "--dry-run")[0] == 0
