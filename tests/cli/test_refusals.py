"""What the upscale command refuses or cannot do, how it says so, and that nothing a user had is lost."""

import errno
import os
from pathlib import Path

import pytest
from PIL import Image
from support.cli_images import damaged, size, write_image
from support.command import files, tree

from fastsr.cli.command import main
from fastsr.network import catalog
from fastsr.upscaler import Upscaler

pytestmark = pytest.mark.usefixtures("here")


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


def assert_refused(cli, arguments, says, expected):
    """A call ends with an exit code and one line, and nothing is made or changed."""
    write_image("a.png", seed=1)
    write_image("b.png", seed=2)
    write_image("photos/c.png", seed=3)
    Path("empty").mkdir()
    Path("text.onnx").write_text("no model")
    Path("link.png").symlink_to("a.png")
    before = {name: Path(name).read_bytes() for name in files()}
    folders = tree()
    code, _, err = cli(*arguments)
    assert code == expected
    assert says in err
    assert err.startswith("fastsr: ")
    assert err.count("\n") == 1
    assert tree() == folders
    assert {name: Path(name).read_bytes() for name in files()} == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["missing.png", "-o", "out.png"], "missing.png: no such file or folder; check the name"),
        (["a.png/b.png", "-o", "out.png"], "a.png/b.png: cannot be read (Not a directory)"),
        (["x" * 300 + ".png", "-o", "out.png"], "cannot be read (File name too long)"),
        (["empty", "-o", "out"], "empty: no images in this folder; name another"),
        (["", "-o", "out"], "an input is the empty text"),
        (["a.png", "-o", "a.png/out"], "a.png is not a folder; choose another output"),
        (["a.png", "-o", "a.png/out.png"], "a.png is not a folder; choose another output"),
        (["a.png", "-o", "a.png"], "a.png: the result would replace its source; choose another output"),
        (["a.png", "-o", "."], "a.png: the result would replace its source; choose another output"),
        (["a.png", "-o", "link.png"], "a.png: the result would replace its source; choose another output"),
        (["photos", "-o", "photos"], "photos: is the output folder"),
        (["a.png", "-o", "out.png", "--model", "bicubik"], "unknown model 'bicubik': did you mean bicubic"),
        (["a.png", "-o", "out.png", "--model", "gone.onnx"], "gone.onnx: no such model file"),
        (["a.png", "-o", "out.png", "--model", "text.onnx"], "text.onnx: not an ONNX model"),
        (["a.png", "-o", "out.png", "--model", "m" * 300], "m: cannot be read (File name too long); check the path"),
    ],
)
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_refusals(cli, arguments, says, force):
    assert_refused(cli, [*arguments, *force], says, 1)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a.png", "-o", ""], "-o is the empty text"),
        (["a.png", "b.png", "-o", "out.png"], "out.png: names one image, but the input is several or a folder"),
        (["a.png", "missing.png", "-o", "out.png"], "out.png: names one image, but the input is several or a folder"),
        (["photos", "-o", "out.png"], "out.png: names one image, but the input is several or a folder"),
        (["a.png", "-o", "out.heic"], "out.heic: HEIC can only be read; use one of"),
        (["a.png", "-o", "out.mp4"], "out.mp4: unknown suffix '.mp4'; use one of"),
        (["a.png", "-o", "out.png", "--scale", "0"], "scale 0.0 must be a number above 0"),
        (["a.png", "-o", "out.png", "--scale", "-2"], "scale -2.0 must be a number above 0"),
        (["a.png", "-o", "out.png", "--scale", "nan"], "scale nan must be a number above 0"),
        (
            ["a.png", "-o", "out.png", "--size", "big"],
            "--size 'big' is not a size in pixels; write it as 1920x1080, 1920x or x1080",
        ),
        (
            ["a.png", "-o", "out.png", "--size", "10"],
            "--size '10' is not a size in pixels; write it as 1920x1080, 1920x or x1080",
        ),
        (["a.png", "-o", "out.png", "--size=-5x5"], "--size '-5x5' is not a size in pixels"),
        (["a.png", "-o", "out.png", "--size", "0x5"], "--size '0x5' is not a width and a height of at least 1 pixel"),
        (["a.png", "-o", "out.png", "--scale", "2", "--size", "9x9"], "scale and size were both given"),
        (["a.png", "-o", "out.jpg", "--quality", "0"], "--quality 0 is not between 1 and 100"),
        (["a.png", "-o", "out.jpg", "--quality", "101"], "--quality 101 is not between 1 and 100"),
        (["a.png", "-o", "out.png", "--tile", "0"], "--tile 0 is not a number of pixels"),
        (["a.png", "-o", "out.tga.gz"], "out.tga.gz: unknown suffix '.gz'; use one of"),
        (["a.png", "-o", "out.ts"], "for a folder of this name write out.ts/"),
        (["a.png", "b.png", "-o", "-"], "standard output takes one image, but the input is several"),
        (["a.png", "--size", "9x9", "--fit", "9x9"], "--size and --fit were both given"),
        (["a.png", "--fit", "9"], "--fit '9' is not a size in pixels; write it as 1920x1080"),
        (["a.png", "--size", "x"], "--size 'x' is not a size in pixels; write it as 1920x1080, 1920x or x1080"),
        (["a.png", "--size", "x0"], "--size 'x0' is not a width and a height of at least 1 pixel"),
        (["a.png", "--size", "999999999x"], "--size '999999999x' is too large; a side may have up to 268435456 pixels"),
        (["a.png", "-o", "-", "--json"], "--json and -o - both write to standard output"),
        (["a.png", "-o", "out.png", "--suffix", "-b"], "--suffix is for names that are made, but out.png is named"),
        (["a.png", "--suffix", "a/b"], "--suffix 'a/b' holds a slash; name a folder with -o"),
        (["a.png", "--preview"], "--preview needs a name for what it shows"),
        (["."], ".: has no name to put '-x4' behind; name a folder with -o"),
    ],
)
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_wrong_calls(cli, arguments, says, force):
    assert_refused(cli, [*arguments, *force], says, 2)


def test_bad_files_do_not_stop_the_rest(cli):
    write_image("photos/a.png")
    write_image("photos/z.png")
    damaged("text").rename("photos/b.png")
    damaged("empty").rename("photos/c.png")
    code, out, err = cli("photos", "missing.png", "-o", "out")
    assert (code, out) == (1, "2 made, 3 failed\n")
    assert [line.split(": ")[1] for line in err.splitlines()] == ["missing.png", "photos/b.png", "photos/c.png"]
    assert tree("out") == ["a.png", "z.png"]


def test_an_unforeseen_failure_does_not_stop_the_rest(cli, monkeypatch):
    for number in range(3):
        write_image(f"photos/{number}.png", 10 + number, 5)
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
    write_image("in.png")
    write_image("out/in.png", 3, 3)

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
    write_image("in.png")
    write_image("old/in.png", 3, 3)
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
        write_image(f"photos/{number}.png")
    tries = []

    def replace(*_, **__):
        tries.append(1)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", replace)
    code, _, err = cli("photos", "-o", "out")
    assert (code, err.count("\n")) == (1, 1)
    assert len(tries) <= 2  # the next one may have been under way
    assert not Path("out").exists()


def test_folder_that_cannot_be_written_into(cli, monkeypatch):
    """Root may write anywhere, so the answer of the system is made up."""
    write_image("in.png")
    Path("out").mkdir()
    monkeypatch.setattr(os, "access", lambda path, *_: Path(path).name != "out")
    code, _, err = cli("in.png", "-o", "out/new/in.png")
    assert code == 1
    assert "no permission to write into" in err
    assert tree() == ["in.png", "out"]


def test_folder_that_cannot_be_made(cli, monkeypatch):
    write_image("in.png")

    def mkdir(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", mkdir)
    code, _, err = cli("in.png", "-o", "out")
    assert code == 1
    assert "out: cannot make this folder (Permission denied); choose another output" in err


def test_folder_that_cannot_be_searched(cli, monkeypatch):
    write_image("photos/a.png")
    write_image("photos/locked/b.png")
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
    write_image("photos/sub/a.png")
    write_image("photos/b.png")
    write_image("out/b.png", 32, 24)
    Path("out/sub").write_text("in the way")
    monkeypatch.setattr(Upscaler, "enlarge", lambda *_: pytest.fail("worked for nothing"))
    code, out, err = cli("photos", "-o", "out")
    assert (code, out) == (1, "0 made, 1 already there (--force makes them again), 1 failed\n")
    assert "out/sub is not a folder; choose another output" in err
    assert Path("out/sub").read_text() == "in the way"


def test_target_that_is_a_folder(cli):
    write_image("in.png")
    Path("out/in.png").mkdir(parents=True)
    code, _, err = cli("in.png", "-o", "out")
    assert code == 1
    assert "out/in.png: is not a plain file" in err


def test_two_inputs_with_one_name(cli):
    """What only the format makes equal gets names of its own; what is equal itself is told."""
    write_image("a/1.png", 4, 4)
    write_image("b/1.png", 5, 5)
    write_image("b/1.jpg", 6, 6)
    code, out, err = cli("a", "b/1.png", "b/1.jpg", "-o", "out", "--format", "png")
    assert (code, out) == (1, "2 made, 1 failed\n")
    assert (size("out/1.png"), size("out/1.jpg.png")) == ((16, 16), (24, 24))
    assert "fastsr: b/1.png: its result out/1.png is also that of a/1.png; rename one of them\n" in err
    assert cli("b", "-o", "webp", "--format", "webp")[:2] == (0, "2 made\n")
    assert files("webp") == ["1.jpg.webp", "1.png.webp"]


def test_no_input_is_replaced(cli):
    """Results that go up a folder would meet other inputs, or be inputs of the next run."""
    write_image("photos/sub/1.png", 4, 4)
    write_image("photos/sub/sub/1.png", 5, 5)
    write_image("photos/sub/sub/2.png", 6, 6)
    code, _, err = cli("photos/sub", "-o", "photos", "--force")
    assert code == 1
    assert "photos/sub/sub/1.png: its result would replace another input" in err
    assert "photos/sub/sub/2.png: its result" in err
    assert files("photos") == ["1.png", "sub/1.png", "sub/sub/1.png", "sub/sub/2.png"]
    assert size("photos/sub/1.png") == (4, 4)


@pytest.mark.parametrize("factor", [1, 2])
def test_huge_images(cli, monkeypatch, factor):
    """Pillow warns over its limit and refuses over twice of it; both are refused here."""
    write_image("in.png", 30, 20)
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
        (["--model", "MODEL", "--engine", "onnxruntime", "--precision", "fp16"], "does not offer precision 'fp16'"),
    ],
)
def test_what_concerns_all_images_is_said_once(cli, model, options, says):
    for number in range(3):
        write_image(f"photos/{number}.png")
    code, out, err = cli("photos", "-o", "out", *(model if text == "MODEL" else text for text in options))
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert says in err
    assert not Path("out").exists()


def test_no_default_model(monkeypatch, capsys):
    write_image("photos/a.png")
    write_image("photos/b.png")
    monkeypatch.setattr(catalog, "models", dict)
    assert main(["upscale", "photos", "-o", "out"]) == 1
    assert capsys.readouterr().err.count("no trained models") == 1
