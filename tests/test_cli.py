"""The command line: what it makes, what it refuses and how it says so, what it leaves behind."""

import errno
import os
import re
import signal
import subprocess
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
from command import files, finish, on_terminal, runner, start, tree
from PIL import Image
from small_models import SAMPLE, compact

import fastsr
from fastsr import catalog
from fastsr.cli import main
from fastsr.upscaler import Upscaler

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(compact(2, seed=5).save(tmp_path_factory.mktemp("models") / "small-x2.onnx"))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty working folder, so that tests write paths as users do."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cli(capsys):
    return runner(capsys, "--model", "bicubic")


def picture(path, width=8, height=6, seed=0, **options):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def size(path):
    with Image.open(path) as image:
        image.load()
        return image.size


# ---------------------------------------------------------------- what is made


def test_one_file_as_the_library_makes_it(cli, model):
    picture("in.png", 20, 10)
    assert cli("in.png", "-o", "out.png", "--model", model)[:2] == (0, "1 made\n")
    with Image.open("in.png") as image, Image.open("out.png") as made:
        expected = fastsr.load(model).upscale(image)
        np.testing.assert_array_equal(np.asarray(made), np.asarray(expected))
    assert tree() == ["in.png", "out.png"]


def test_tiles_engine_and_precision_give_the_same(cli, model):
    picture("in.png", 90, 50)
    assert cli("in.png", "-o", "whole.png", "--model", model)[0] == 0
    options = ["--tile", "32", "--engine", "onnx", "--device", "cpu", "--precision", "fp32"]
    assert cli("in.png", "-o", "tiled.png", "--model", model, *options)[0] == 0
    whole, tiled = (np.asarray(Image.open(name)).astype(int) for name in ("whole.png", "tiled.png"))
    assert np.abs(whole - tiled).max() <= 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [([], (32, 24)), (["--scale", "1.5"], (12, 9)), (["--scale", "0.5"], (4, 3)), (["--size", "21X5"], (21, 5))],
)
def test_sizes(cli, options, expected):
    picture("in.png", 8, 6)
    assert cli("in.png", "-o", "out.png", *options)[0] == 0
    assert size("out.png") == expected


def test_one_pixel(cli, model):
    picture("in.png", 1, 1)
    assert cli("in.png", "-o", "out.png", "--model", model)[0] == 0
    assert size("out.png") == (2, 2)


def test_folder_keeps_its_structure(cli):
    for name in ("photos/a.png", "photos/sub/b.JPG", "photos/sub/deep er/ü.webp", "photos/.hidden/c.png"):
        picture(name)
    Path("photos/notes.txt").write_text("not an image, and not asked for")
    assert cli("photos", "-o", "large")[:2] == (0, "3 made\n")
    assert files("large") == ["a.png", "sub/b.JPG", "sub/deep er/ü.webp"]
    assert size("large/sub/deep er/ü.webp") == (32, 24)


def test_globs(cli):
    for name in ("photos/1/a.png", "photos/1/b.jpg", "photos/2/a.png", "photos/2/more/c.png"):
        picture(name)
    Path("photos/1/notes.txt").write_text("")
    assert cli("photos/**/a*.png", "-o", "pattern")[0] == 0
    assert files("pattern") == ["1/a.png", "2/a.png"]
    assert cli("photos/1/*", "-o", "flat")[0] == 0
    assert files("flat") == ["a.png", "b.jpg"]
    assert cli("photos/[12]", "-o", "folders")[0] == 0
    assert files("folders") == ["1/a.png", "1/b.jpg", "2/a.png", "2/more/c.png"]
    assert cli(f"{Path.cwd()}/photos/?/b.*", "-o", "single.png")[0] == 0
    assert size("single.png") == (32, 24)


def test_glob_without_match_or_with_double_stars_beside_letters(cli):
    picture("a.png")
    code, _, err = cli("b*.png", "-o", "out")
    assert code == 1
    assert "b*.png: no such file, and no image matches it" in err
    assert cli("**.png", "-o", "out")[0] == 0
    assert files("out") == ["a.png"]


@pytest.mark.parametrize("name", ["photo [1].png", "a*b?.png", "-dash.png", "--force.png", "ünï 写真 🙂.png", " .png"])
def test_odd_names(cli, name):
    picture(name)
    picture("photo 1.png")  # what the first would match as a pattern
    assert main(["upscale", "--model", "bicubic", "-o", "out", "--", name]) == 0
    assert files("out") == [name]
    assert main(["upscale", "--model", "bicubic", f"--output={name}", "--force", "photo 1.png"]) == 0
    assert size(name) == (32, 24)


def test_names_that_are_no_utf8(cli):
    name = os.fsdecode(b"caf\xe9.png")
    picture("plain.png").rename(name)
    Path(os.fsdecode(b"bad\xe9.png")).write_text("text")
    code, _, err = cli(".", "-o", "out")
    assert code == 1
    assert files("out") == [name]
    assert "not an image" in err


def test_pattern_below_a_folder_that_looks_like_one(cli):
    picture("trip [1]/a.png")
    picture("trip 1/b.png")
    assert cli("trip [1]/*.png", "-o", "out")[0] == 0
    assert files("out") == ["a.png"]
    assert "trip [1]/b.png: no such file" in cli("trip [1]/b.png", "-o", "out")[2]


@pytest.mark.parametrize("output", ["large", "v1.5", "made.png/", "there.png"])
def test_output_read_as_a_folder(cli, output):
    picture("in.png")
    Path("there.png").mkdir()
    assert cli("in.png", "-o", output)[0] == 0
    assert files(output) == ["in.png"]


def test_output_file_in_a_new_folder(cli):
    picture("in.png")
    assert cli("in.png", "-o", "new/sub/out.jpg")[0] == 0
    with Image.open("new/sub/out.jpg") as image:
        assert image.format == "JPEG"


def test_format_changes_suffixes(cli):
    for name in ("photos/a.png", "photos/b.jpeg", "photos/sub/c.d.webp"):
        picture(name)
    assert cli("photos", "-o", "out", "--format", "JPG")[0] == 0
    assert files("out") == ["a.jpg", "b.jpg", "sub/c.d.jpg"]
    for name in files("out"):
        with Image.open(Path("out", name)) as image:
            assert image.format == "JPEG"


def test_format_and_a_named_file(cli):
    picture("in.png")
    assert cli("in.png", "-o", "out.jpeg", "--format", "jpg")[0] == 0
    assert files() == ["in.png", "out.jpeg"]
    code, _, err = cli("in.png", "-o", "out.png", "--format", "jpg")
    assert code == 1
    assert "out.png: is not named as --format jpg asks" in err
    assert files() == ["in.png", "out.jpeg"]


def test_source_without_suffix(cli):
    picture("scan.png").rename("scan.0001")
    code, _, err = cli("scan.0001", "-o", "out")
    assert code == 1
    assert "unknown suffix '.0001'" in err
    assert cli("scan.0001", "-o", "out", "--format", "png")[0] == 0
    assert files("out") == ["scan.0001.png"]


def test_quality(cli):
    for quality in (5, 95):
        assert cli(SAMPLE, "-o", f"{quality}.jpg", "--quality", quality, "--size", "100x100")[0] == 0
    assert Path("5.jpg").stat().st_size < Path("95.jpg").stat().st_size / 3


def test_what_is_done_is_skipped_unless_forced(cli):
    picture("photos/a.png", 4, 4)
    picture("photos/b.png", 4, 4)
    picture("out/a.png", 5, 5)
    assert cli("photos", "-o", "out")[:2] == (0, "1 made, 1 already there (--force makes them again)\n")
    assert (size("out/a.png"), size("out/b.png")) == ((5, 5), (16, 16))
    assert cli("photos", "-o", "out", "--force")[:2] == (0, "2 made\n")
    assert size("out/a.png") == (16, 16)


def test_nothing_is_loaded_when_all_is_done(cli):
    picture("in.png")
    picture("out.png")
    assert cli("in.png", "-o", "out.png", "--model", "missing.onnx")[0] == 0


def test_earlier_results_are_no_inputs(cli):
    picture("photos/a.png")
    picture("photos/sub/b.png")
    for inputs in (["photos"], ["photos/**/*.png"], ["photos/*"]):
        for expected in ("2 made\n", "2 made\n"):
            code, out, err = cli(*inputs, "-o", "photos/large", "--force")
            assert (code, out, err) == (0, expected, "")
        assert files("photos") == ["a.png", "large/a.png", "large/sub/b.png", "sub/b.png"]


def test_output_folder_among_the_inputs_is_left_out(cli):
    """As the shell does for * on the second run."""
    picture("a.png")
    picture("large/a.png", 3, 3)
    code, out, err = cli("a.png", "large", "-o", "large", "--force")
    assert (code, out) == (0, "1 made\n")
    assert "large: is the output folder" in err
    assert files("large") == ["a.png"]


def test_symlinks(cli):
    picture("elsewhere/c.png")
    picture("photos/a.png")
    Path("photos/loop").symlink_to(".")
    Path("photos/up").symlink_to("..")
    Path("photos/self.png").symlink_to("self.png")
    Path("photos/linked.png").symlink_to("a.png")
    code, _, err = cli("photos", "-o", "out")
    assert code == 1
    assert err.count("\n") == 1
    assert "photos/self.png" in err
    assert files("out") == ["a.png", "linked.png"]
    assert cli("photos/**/[al]*.png", "-o", "again")[0] == 0
    assert files("again") == ["a.png", "linked.png"]
    Path("entry").symlink_to("photos")
    Path("photos/self.png").unlink()
    assert cli("entry", "-o", "third")[0] == 0
    assert files("third") == ["a.png", "linked.png"]


def test_an_input_named_twice_is_made_once(cli, here):
    picture("a.png")
    assert cli("a.png", "./a.png", here / "a.png", "*.png", "-o", "out")[:2] == (0, "1 made\n")


@pytest.mark.parametrize("name", list(fastsr.models()))
def test_shipped_models(cli, name):
    picture("in.png", 9, 7)
    assert cli("in.png", "-o", "out.png", "--model", name)[0] == 0
    scale = fastsr.models()[name].scale
    assert size("out.png") == (9 * scale, 7 * scale)


@pytest.mark.parametrize("scale", [1, 2, 4] if fastsr.models() else [])
def test_default_model(capsys, scale):
    picture("in.png", 9, 7)
    assert main(["upscale", "in.png", "-o", "out.png", "--scale", str(scale)]) == 0
    with Image.open("in.png") as image, Image.open("out.png") as made:
        expected = fastsr.load(catalog.default(scale)).upscale(image, scale=scale)
        np.testing.assert_array_equal(np.asarray(made), np.asarray(expected))


def test_default_model_fits_the_size(monkeypatch, model, capsys):
    picture("in.png", 10, 10)
    asked = []

    def default(scale):
        asked.append(scale)
        return model

    monkeypatch.setattr(catalog, "default", default)
    assert main(["upscale", "in.png", "-o", "out.png", "--size", "15x30"]) == 0
    assert (asked, size("out.png")) == ([3.0], (15, 30))


def test_models_table(capsys, monkeypatch):
    card = catalog.Model("tiny-x2", 2, Path("m"), "for tests", "none", "none", {"Set5": {"psnr": 31.416}}, {})
    monkeypatch.setattr(catalog, "models", lambda: {"tiny-x2": card})
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["model", "scale", "PSNR", "(Y)", "what", "it", "is"]
    assert lines[1].split() == ["tiny-x2", "x2", "Set5", "31.42", "for", "tests"]
    assert [line.split()[0] for line in lines[2:]] == list(catalog.INTERPOLATIONS)
    assert len({line.index(word) for line, word in zip(lines[1:], ["for tests"] + ["interp"] * 4, strict=True)}) == 1


def test_models_lists_all_that_ship(capsys):
    assert main(["models"]) == 0
    first = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert first == [*fastsr.models(), *catalog.INTERPOLATIONS]


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert capsys.readouterr().out == f"fastsr {declared}\n"


@pytest.mark.parametrize(
    "arguments", [[], ["upscale"], ["upscale", "a.png"], ["upscale", "a", "-o", "b", "--tile", "x"]]
)
def test_usage_errors(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "usage: fastsr" in capsys.readouterr().err


# ---------------------------------------------------------------- what is refused


def damaged(kind):
    """A file that is no readable image."""
    path = Path(f"bad.{'jpg' if kind == 'truncated jpg' else 'png'}")
    if kind.startswith("truncated"):
        picture(path, 64, 64)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.write_bytes(b"" if kind == "empty" else b"this is text\n" * 20)
    return path


@pytest.mark.parametrize("force", [[], ["--force"]])
@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("truncated jpg", "damaged or cut short"),
        ("truncated png", "damaged or cut short"),
        ("empty", "empty"),
        ("text", "not an image"),
    ],
)
def test_damaged_images(cli, kind, says, force):
    path = damaged(kind)
    code, out, err = cli(path, "-o", "new/out.png", *force)
    assert (code, out) == (1, "0 made, 1 failed\n")
    assert err.startswith(f"fastsr: {path}: ")
    assert says in err
    assert err.count("\n") == 1
    assert tree() == [path.name]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["missing.png", "-o", "out.png"], "missing.png: no such file or folder; check the name"),
        (["a.png/b.png", "-o", "out.png"], "a.png/b.png: cannot be read (Not a directory)"),
        (["x" * 300 + ".png", "-o", "out.png"], "cannot be read (File name too long)"),
        (["empty", "-o", "out"], "empty: no images in this folder; it needs files that end in"),
        (["", "-o", "out"], "an input is the empty text"),
        (["a.png", "-o", ""], "-o is the empty text"),
        (["a.png", "-o", "a.png/out"], "a.png is not a folder; choose another output"),
        (["a.png", "-o", "a.png/out.png"], "a.png is not a folder; choose another output"),
        (["a.png", "b.png", "-o", "out.png"], "out.png: names one image, but the input is several or a folder"),
        (["a.png", "missing.png", "-o", "out.png"], "out.png: names one image, but the input is several or a folder"),
        (["photos", "-o", "out.png"], "out.png: names one image, but the input is several or a folder"),
        (["a.png", "-o", "out.heic"], "out.heic: unknown suffix '.heic'; use one of"),
        (["a.png", "-o", "out.mp4"], "out.mp4: unknown suffix '.mp4'; use one of"),
        (["a.png", "-o", "a.png"], "a.png: the result would replace its source; choose another output"),
        (["a.png", "-o", "."], "a.png: the result would replace its source; choose another output"),
        (["a.png", "-o", "link.png"], "a.png: the result would replace its source; choose another output"),
        (["photos", "-o", "photos"], "photos: is the output folder"),
        (["a.png", "-o", "out.png", "--scale", "0"], "scale 0.0 must be a number above 0"),
        (["a.png", "-o", "out.png", "--scale", "-2"], "scale -2.0 must be a number above 0"),
        (["a.png", "-o", "out.png", "--scale", "nan"], "scale nan must be a number above 0"),
        (["a.png", "-o", "out.png", "--size", "big"], "--size 'big' is not a size in pixels; write it as 1920x1080"),
        (["a.png", "-o", "out.png", "--size", "10"], "--size '10' is not a size in pixels"),
        (["a.png", "-o", "out.png", "--size=-5x5"], "--size '-5x5' is not a size in pixels"),
        (["a.png", "-o", "out.png", "--size", "0x5"], "size (0, 5) is not a width and a height of at least 1"),
        (["a.png", "-o", "out.png", "--scale", "2", "--size", "9x9"], "scale and size were both given"),
        (["a.png", "-o", "out.jpg", "--quality", "0"], "--quality 0 is not between 1 and 100"),
        (["a.png", "-o", "out.jpg", "--quality", "101"], "--quality 101 is not between 1 and 100"),
        (["a.png", "-o", "out.png", "--tile", "0"], "--tile 0 is not a number of pixels"),
        (["a.png", "-o", "out.png", "--model", "bicubik"], "unknown model 'bicubik': did you mean bicubic"),
        (["a.png", "-o", "out.png", "--model", "gone.onnx"], "gone.onnx: no such model file"),
        (["a.png", "-o", "out.png", "--model", "text.onnx"], "text.onnx: not an ONNX model"),
        (["a.png", "-o", "out.png", "--model", "m" * 300], "m: cannot be read (File name too long); check --model"),
    ],
)
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_refusals(cli, arguments, says, force):
    picture("a.png", seed=1)
    picture("b.png", seed=2)
    picture("photos/c.png", seed=3)
    Path("empty").mkdir()
    Path("text.onnx").write_text("no model")
    Path("link.png").symlink_to("a.png")
    before = {name: Path(name).read_bytes() for name in files()}
    folders = tree()
    code, _, err = cli(*arguments, *force)
    assert code == 1
    assert says in err
    assert err.startswith("fastsr: ")
    assert err.count("\n") == 1
    assert tree() == folders
    assert {name: Path(name).read_bytes() for name in files()} == before


def test_bad_files_do_not_stop_the_rest(cli):
    picture("photos/a.png")
    picture("photos/z.png")
    damaged("text").rename("photos/b.png")
    damaged("empty").rename("photos/c.png")
    code, out, err = cli("photos", "missing.png", "-o", "out")
    assert (code, out) == (1, "2 made, 3 failed\n")
    assert [line.split(": ")[1] for line in err.splitlines()] == ["missing.png", "photos/b.png", "photos/c.png"]
    assert tree("out") == ["a.png", "z.png"]


def test_an_unforeseen_failure_does_not_stop_the_rest(cli, monkeypatch):
    for number in range(3):
        picture(f"photos/{number}.png", 10 + number, 5)
    right = Upscaler.enlarge

    def enlarge(self, given, *rest):
        if given.frames[0].color.shape[1] == 11:
            raise RuntimeError("the runtime lost its way")
        return right(self, given, *rest)

    monkeypatch.setattr(Upscaler, "enlarge", enlarge)
    code, out, err = cli("photos", "-o", "out")
    assert (code, out) == (1, "2 made, 1 failed\n")
    assert err.startswith("fastsr: photos/1.png: failed (RuntimeError: the runtime lost its way)")
    assert files("out") == ["0.png", "2.png"]


def test_memory_runs_out(cli, monkeypatch):
    picture("in.png")
    picture("out/in.png", 3, 3)

    def enlarge(*_):
        raise MemoryError

    monkeypatch.setattr(Upscaler, "enlarge", enlarge)
    code, _, err = cli("in.png", "-o", "out", "--force")
    assert (code, err) == (1, "fastsr: in.png: not enough memory; try a smaller --tile or --scale\n")
    assert size("out/in.png") == (3, 3)


@pytest.mark.parametrize(
    ("number", "says"),
    [(errno.ENOSPC, "no space left"), (errno.EACCES, "no permission"), (errno.EIO, "cannot be written")],
)
def test_writing_fails(cli, monkeypatch, number, says):
    picture("in.png")
    picture("old/in.png", 3, 3)
    before = tree()

    def replace(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", replace)
    for output in ("new/sub", "old"):
        code, _, err = cli("in.png", "-o", output, "--force")
        assert code == 1
        assert f"{output}/in.png: {says}" in err
        assert err.count("\n") == 1
        assert tree() == before
    assert size("old/in.png") == (3, 3)


def test_a_full_disk_ends_the_run(cli, monkeypatch):
    for number in range(4):
        picture(f"photos/{number}.png")
    tries = []

    def replace(*_, **__):
        tries.append(1)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", replace)
    code, _, err = cli("photos", "-o", "out")
    assert (code, len(tries), err.count("\n")) == (1, 1, 1)
    assert not Path("out").exists()


def test_folder_that_cannot_be_written_into(cli, monkeypatch):
    """Root may write anywhere, so the answer of the system is made up."""
    picture("in.png")
    Path("out").mkdir()
    monkeypatch.setattr(os, "access", lambda path, *_: Path(path).name != "out")
    code, _, err = cli("in.png", "-o", "out/new/in.png")
    assert code == 1
    assert "no permission to write into" in err
    assert tree() == ["in.png", "out"]


def test_folder_that_cannot_be_made(cli, monkeypatch):
    picture("in.png")

    def mkdir(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", mkdir)
    code, _, err = cli("in.png", "-o", "out")
    assert code == 1
    assert "out: cannot make this folder (Permission denied); choose another output" in err


def test_folder_that_cannot_be_searched(cli, monkeypatch):
    picture("photos/a.png")
    picture("photos/locked/b.png")
    right = os.scandir

    def scandir(path):
        if Path(path).name == "locked":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return right(path)

    monkeypatch.setattr(os, "scandir", scandir)
    code, _, err = cli("photos", "-o", "out")
    assert code == 1
    assert "photos/locked: cannot be searched (Permission denied)" in err
    monkeypatch.setattr(os, "scandir", right)
    assert files("out") == ["a.png"]


def test_file_where_a_folder_must_be_is_told_before_the_work(cli, monkeypatch):
    picture("photos/sub/a.png")
    picture("photos/b.png")
    picture("out/b.png")
    Path("out/sub").write_text("in the way")
    monkeypatch.setattr(Upscaler, "enlarge", lambda *_: pytest.fail("worked for nothing"))
    code, out, err = cli("photos", "-o", "out")
    assert (code, out) == (1, "0 made, 1 already there (--force makes them again), 1 failed\n")
    assert "out/sub is not a folder; choose another output" in err
    assert Path("out/sub").read_text() == "in the way"


def test_target_that_is_a_folder(cli):
    picture("in.png")
    Path("out/in.png").mkdir(parents=True)
    code, _, err = cli("in.png", "-o", "out")
    assert code == 1
    assert "out/in.png: is not a plain file" in err


def test_two_inputs_with_one_result(cli):
    picture("a/1.png", 4, 4)
    picture("b/1.png", 5, 5)
    picture("b/1.jpg", 6, 6)
    code, out, err = cli("a", "b/1.png", "b/1.jpg", "-o", "out", "--format", "png")
    assert (code, out) == (1, "1 made, 2 failed\n")
    assert size("out/1.png") == (16, 16)
    assert "fastsr: b/1.png: its result out/1.png is also that of a/1.png; rename one of them\n" in err


def test_no_input_is_replaced(cli):
    """Results that go up a folder would meet other inputs, or be inputs of the next run."""
    picture("photos/sub/1.png", 4, 4)
    picture("photos/sub/sub/1.png", 5, 5)
    picture("photos/sub/sub/2.png", 6, 6)
    code, _, err = cli("photos/sub", "-o", "photos", "--force")
    assert code == 1
    assert "photos/sub/sub/1.png: its result would replace another input" in err
    assert "photos/sub/sub/2.png: its result" in err
    assert files("photos") == ["1.png", "sub/1.png", "sub/sub/1.png", "sub/sub/2.png"]
    assert size("photos/sub/1.png") == (4, 4)


@pytest.mark.parametrize("factor", [1, 2])
def test_huge_images(cli, monkeypatch, factor):
    """Pillow warns over its limit and refuses over twice of it; both are refused here."""
    picture("in.png", 30, 20)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500 // factor)
    code, _, err = cli("in.png", "-o", "out.png")
    assert code == 1
    assert err.startswith("fastsr: in.png: ")
    assert "--allow-huge" in err
    assert not Path("out.png").exists()
    assert cli("in.png", "-o", "out.png", "--allow-huge")[0] == 0
    assert Path("out.png").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--model", "bilinaer"], "unknown model 'bilinaer': did you mean bilinear"),
        (["--model", "MODEL", "--tile", "3"], "tile 3 is too small"),
        (["--model", "MODEL", "--engine", "onnx", "--precision", "fp16"], "does not offer precision 'fp16'"),
    ],
)
def test_what_concerns_all_images_is_said_once(cli, model, options, says):
    for number in range(3):
        picture(f"photos/{number}.png")
    code, out, err = cli("photos", "-o", "out", *(model if text == "MODEL" else text for text in options))
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert says in err
    assert not Path("out").exists()


def test_no_default_model(monkeypatch, capsys):
    picture("photos/a.png")
    picture("photos/b.png")
    monkeypatch.setattr(catalog, "models", dict)
    assert main(["upscale", "photos", "-o", "out"]) == 1
    assert capsys.readouterr().err.count("no trained models") == 1


# ---------------------------------------------------------------- as a process


def test_process_reports_a_bad_file():
    damaged("text")
    code, out, err = finish("upscale", "bad.png", "-o", "out.png", "--model", "bicubic")
    assert (code, out) == (1, "0 made, 1 failed\n")
    assert err.startswith("fastsr: bad.png: not an image")
    assert tree() == ["bad.png"]


@pytest.mark.parametrize("arguments", [["models"], ["upscale", "in.png", "-o", "out.png", "--model", "bicubic"]])
def test_broken_pipe(arguments):
    picture("in.png")
    reader, writer = os.pipe()
    os.close(reader)
    code, _, err = finish(*arguments, stdout=writer)
    os.close(writer)
    assert err == ""
    assert code == (1 if arguments == ["models"] else 0)
    assert Path("out.png").exists() == (arguments != ["models"])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_standard_output():
    with Path("/dev/full").open("w") as full:
        code, _, err = finish("models", stdout=full)
    assert (code, err.count("\n")) == (1, 1)
    assert "standard output: cannot be written (No space left on device)" in err


def wait_for(path, process):
    end = time.monotonic() + 40
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, f"{path} was not made"
        time.sleep(0.01)


@pytest.mark.parametrize("presses", [1, 4])
def test_interrupted_within_an_image(model, presses):
    picture("photos/1.png", 20, 20)
    picture("photos/2.png", 1600, 1200, compress_level=0)
    arguments = ["upscale", "photos", "-o", "out", "--model", model, "--tile", "32"]
    with start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_for(Path("out/1.png"), process)
        time.sleep(0.2)
        for _ in range(presses):
            process.send_signal(signal.SIGINT)
            time.sleep(0.01)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err == "fastsr: interrupted; finished images are kept, no partial one is left\n"
    assert tree("out") == ["1.png"]
    assert size("out/1.png") == (40, 40)


def test_interrupted_among_many_images():
    picture("photos/000.png", 60, 60)
    for number in range(1, 400):
        os.link("photos/000.png", f"photos/{number:03}.png")
    arguments = ["upscale", "photos", "-o", "out", "--model", "bicubic", "--scale", "6"]
    with start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_for(Path("out/004.png"), process)
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=30)[1]
    assert (process.returncode, err.count("\n")) == (130, 1)
    made = tree("out")
    assert 5 <= len(made) < 400
    assert made == [f"{number:03}.png" for number in range(len(made))]
    assert all(size(Path("out", name)) == (360, 360) for name in made)


def test_interrupted_while_writing(cli, monkeypatch):
    picture("in.png")
    damaged("empty")
    picture("old.png", 3, 3)
    before = tree()

    def replace(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", replace)
    code, _, err = cli("bad.png", "in.png", "-o", "new/folder")
    assert code == 130
    assert err.splitlines()[0].startswith("fastsr: bad.png: ")  # what failed before is told
    assert cli("in.png", "-o", "old.png", "--force")[0] == 130
    assert tree() == before
    assert size("old.png") == (3, 3)


def test_interrupted_again_while_cleaning_up(cli, monkeypatch):
    picture("in.png")
    unlink = Path.unlink

    def press(*_, **__):
        signal.raise_signal(signal.SIGINT)

    def press_and_unlink(*arguments, **options):
        press()
        unlink(*arguments, **options)

    monkeypatch.setattr(os, "replace", press)
    monkeypatch.setattr(Path, "unlink", press_and_unlink)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert cli("in.png", "-o", "new/out.png")[0] == 130
        assert tree() == ["in.png"]
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_handler_of_interrupts_is_put_back(cli):
    picture("in.png")
    before = signal.getsignal(signal.SIGINT)
    assert cli("in.png", "-o", "out.png")[0] == 0
    assert cli("in.png", "-o", "in.png")[0] == 1
    assert signal.getsignal(signal.SIGINT) is before


def test_progress_on_a_terminal_only(model, monkeypatch):
    monkeypatch.setenv("TQDM_MININTERVAL", "0")  # every tile is shown, however fast the machine
    picture("photos/first.png", 400, 300)
    picture("photos/second.png", 400, 300)
    shown = on_terminal("upscale", "photos", "-o", "out", "--model", model, "--tile", "32")
    assert "first.png:" in shown
    assert "second.png:" in shown
    assert re.search(r"first.png: .*\d+/\d+ \[\d+:\d+<\d+:\d+, .*tile", shown)  # done/all [elapsed<left]
    assert re.search(r"images: .* 2/2 \[", shown)
    assert finish("upscale", "photos", "-o", "again", "--model", model, "--tile", "32") == (0, "2 made\n", "")
