"""What the upscale command makes, where, and what it leaves alone; the table of models."""

import os
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.cli_images import size, write_image
from support.command import files, tree
from support.small_models import SAMPLE

import fastsr
from fastsr.cli.command import main
from fastsr.importing import packages
from fastsr.network import catalog

ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.usefixtures("here")


def test_one_file_as_the_library_makes_it(cli, model):
    write_image("in.png", 20, 10)
    assert cli("in.png", "-o", "out.png", "--model", model)[:2] == (0, "1 made\n")
    with Image.open("in.png") as image, Image.open("out.png") as made:
        expected = fastsr.load(model).upscale(image)
        np.testing.assert_array_equal(np.asarray(made), np.asarray(expected))
    assert tree() == ["in.png", "out.png"]


def test_tiles_engine_and_precision_give_the_same(cli, model):
    write_image("in.png", 90, 50)
    assert cli("in.png", "-o", "whole.png", "--model", model)[0] == 0
    options = ["--tile", "32", "--engine", "onnxruntime", "--device", "cpu", "--precision", "fp32"]
    assert cli("in.png", "-o", "tiled.png", "--model", model, *options)[0] == 0
    whole, tiled = (np.asarray(Image.open(name)).astype(int) for name in ("whole.png", "tiled.png"))
    assert np.abs(whole - tiled).max() <= 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [([], (32, 24)), (["--scale", "1.5"], (12, 9)), (["--scale", "0.5"], (4, 3)), (["--size", "21X5"], (21, 5))],
)
def test_sizes(cli, options, expected):
    write_image("in.png", 8, 6)
    assert cli("in.png", "-o", "out.png", *options)[0] == 0
    assert size("out.png") == expected


def test_one_pixel(cli, model):
    write_image("in.png", 1, 1)
    assert cli("in.png", "-o", "out.png", "--model", model)[0] == 0
    assert size("out.png") == (2, 2)


def test_folder_keeps_its_structure(cli):
    for name in ("photos/a.png", "photos/sub/b.JPG", "photos/sub/deep er/ü.webp", "photos/.hidden/c.png"):
        write_image(name)
    Path("photos/notes.txt").write_text("not an image, and not asked for")
    assert cli("photos", "-o", "large")[:2] == (0, "3 made, 1 skipped (1 not images)\n")
    assert files("large") == ["a.png", "sub/b.JPG", "sub/deep er/ü.webp"]
    assert size("large/sub/deep er/ü.webp") == (32, 24)


def test_globs(cli):
    for name in ("photos/1/a.png", "photos/1/b.jpg", "photos/2/a.png", "photos/2/more/c.png"):
        write_image(name)
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
    write_image("a.png")
    code, _, err = cli("b*.png", "-o", "out")
    assert code == 1
    assert "b*.png: no such file, and no image matches it" in err
    assert cli("**.png", "-o", "out")[0] == 0
    assert files("out") == ["a.png"]


@pytest.mark.parametrize("name", ["photo [1].png", "a*b?.png", "-dash.png", "--force.png", "ünï 写真 🙂.png", " .png"])
def test_odd_names(cli, name):
    write_image(name)
    write_image("photo 1.png")  # what the first would match as a pattern
    assert main(["upscale", "--model", "bicubic", "-o", "out", "--", name]) == 0
    assert files("out") == [name]
    assert main(["upscale", "--model", "bicubic", f"--output={name}", "--force", "photo 1.png"]) == 0
    assert size(name) == (32, 24)


def test_names_that_are_no_utf8(cli):
    name = os.fsdecode(b"caf\xe9.png")
    write_image("plain.png").rename(name)
    Path(os.fsdecode(b"bad\xe9.png")).write_text("text")
    code, _, err = cli(".", "-o", "out")
    assert code == 1
    assert files("out") == [name]
    assert "not an image" in err


def test_pattern_below_a_folder_that_looks_like_one(cli):
    write_image("trip [1]/a.png")
    write_image("trip 1/b.png")
    assert cli("trip [1]/*.png", "-o", "out")[0] == 0
    assert files("out") == ["a.png"]
    assert "trip [1]/b.png: no such file" in cli("trip [1]/b.png", "-o", "out")[2]


@pytest.mark.parametrize("output", ["large", "v1.5", "made.png/", "there.png"])
def test_output_read_as_a_folder(cli, output):
    write_image("in.png")
    Path("there.png").mkdir()
    assert cli("in.png", "-o", output)[0] == 0
    assert files(output) == ["in.png"]


def test_output_file_in_a_new_folder(cli):
    write_image("in.png")
    assert cli("in.png", "-o", "new/sub/out.jpg")[0] == 0
    with Image.open("new/sub/out.jpg") as image:
        assert image.format == "JPEG"


def test_format_changes_suffixes(cli):
    for name in ("photos/a.png", "photos/b.jpeg", "photos/sub/c.d.webp"):
        write_image(name)
    assert cli("photos", "-o", "out", "--format", "JPG")[0] == 0
    assert files("out") == ["a.jpg", "b.jpg", "sub/c.d.jpg"]
    for name in files("out"):
        with Image.open(Path("out", name)) as image:
            assert image.format == "JPEG"


def test_format_and_a_named_file(cli):
    write_image("in.png")
    assert cli("in.png", "-o", "out.jpeg", "--format", "jpg")[0] == 0
    assert files() == ["in.png", "out.jpeg"]
    code, _, err = cli("in.png", "-o", "out.png", "--format", "jpg")
    assert code == 2
    assert "out.png: is not named as --format jpg asks" in err
    assert files() == ["in.png", "out.jpeg"]


def test_source_without_suffix(cli):
    write_image("scan.png").rename("scan.0001")
    assert cli("scan.0001", "-o", "out")[0] == 0
    assert cli("scan.0001", "-o", "out", "--format", "jpg")[0] == 0
    assert files("out") == ["scan.0001.jpg", "scan.0001.png"]


def test_quality(cli):
    for quality in (5, 95):
        assert cli(SAMPLE, "-o", f"{quality}.jpg", "--quality", quality, "--size", "100x100")[0] == 0
    assert Path("5.jpg").stat().st_size < Path("95.jpg").stat().st_size / 3


def test_earlier_results_are_no_inputs(cli):
    write_image("photos/a.png")
    write_image("photos/sub/b.png")
    for inputs in (["photos"], ["photos/**/*.png"], ["photos/*"]):
        for expected in ("2 made\n", "2 made\n"):
            code, out, err = cli(*inputs, "-o", "photos/large", "--force")
            assert (code, out, err) == (0, expected, "")
        assert files("photos") == ["a.png", "large/a.png", "large/sub/b.png", "sub/b.png"]


def test_output_folder_among_the_inputs_is_left_out(cli):
    """As the shell does for * on the second run."""
    write_image("a.png")
    write_image("large/a.png", 3, 3)
    code, out, err = cli("a.png", "large", "-o", "large", "--force")
    assert (code, out) == (0, "1 made\n")
    assert "large: is the output folder" in err
    assert files("large") == ["a.png"]


def test_symlinks(cli):
    write_image("elsewhere/c.png")
    write_image("photos/a.png")
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
    write_image("a.png")
    assert cli("a.png", "./a.png", here / "a.png", "*.png", "-o", "out")[:2] == (0, "1 made\n")


@pytest.mark.parametrize("name", list(fastsr.models()))
def test_shipped_models(cli, name):
    write_image("in.png", 9, 7)
    assert cli("in.png", "-o", "out.png", "--model", name)[0] == 0
    scale = fastsr.models()[name].scale
    assert size("out.png") == (9 * scale, 7 * scale)


@pytest.mark.parametrize("scale", [1, 2, 4] if fastsr.models() else [])
def test_default_model(capsys, scale):
    write_image("in.png", 9, 7)
    assert main(["upscale", "in.png", "-o", "out.png", "--scale", str(scale)]) == 0
    with Image.open("in.png") as image, Image.open("out.png") as made:
        expected = fastsr.load(catalog.default(scale)).upscale(image, scale=scale)
        np.testing.assert_array_equal(np.asarray(made), np.asarray(expected))


def test_default_model_fits_the_size(monkeypatch, model, capsys):
    write_image("in.png", 10, 10)
    asked = []

    def default(scale, video):
        asked.append(scale)
        return model

    monkeypatch.setattr(catalog, "default", default)
    assert main(["upscale", "in.png", "-o", "out.png", "--size", "15x30"]) == 0
    assert (asked, size("out.png")) == ([3.0], (15, 30))


def test_models_table(capsys, monkeypatch):
    card = catalog.Model("tiny-x2", 2, Path("m"), "for tests", "none", "none", {"Set5": {"psnr": 31.416}}, {})
    monkeypatch.setattr(catalog, "models", lambda: {"tiny-x2": card})
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.partition("\n\n")[0].splitlines()
    assert lines[0].split() == ["model", "scale", "engine", "MFLOP/pixel", "PSNR", "(Y)", "what", "it", "is"]
    assert lines[1].split() == ["tiny-x2", "x2", "unreadable", "Set5", "31.42", "for", "tests"]
    assert [line.split()[0] for line in lines[2:]] == list(catalog.INTERPOLATIONS)
    assert len({line.index(word) for line, word in zip(lines[1:], ["for tests"] + ["interp"] * 4, strict=True)}) == 1


def test_models_lists_all_that_ship(capsys):
    assert main(["models"]) == 0
    table, _, others = capsys.readouterr().out.partition("\n\n")
    assert [line.split()[0] for line in table.splitlines()[1:]] == [*fastsr.models(), *catalog.INTERPOLATIONS]
    assert all(name in others for name in ("realesrgan-x4plus", "realcugan-se-x2-denoise1x", "waifu2x-cunet-x2"))


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert capsys.readouterr().out == f"fastsr {declared}\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "the following arguments are required: COMMAND; fastsr --help tells more"),
        (
            ["upscale", "a", "--sale=3"],
            "unrecognized arguments: --sale=3 (did you mean --scale?); fastsr upscale --help tells more",
        ),
        (["info", "--qq"], "unrecognized arguments: --qq; fastsr info --help tells more"),
        (["upscale"], "the following arguments are required: IN; fastsr upscale --help tells more"),
        (["upscale", "a", "--tile", "x"], "argument --tile: invalid int value: 'x'; fastsr upscale --help tells more"),
        (["bench", "--nope"], "the following arguments are required: IN; fastsr bench --help tells more"),
    ],
)
def test_usage_errors(arguments, says, capsys):
    """The error comes last, behind a short usage that does not hide it."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("usage: fastsr")
    assert err.endswith(f"\nfastsr: {says}\n")
    assert err.count("\n") <= 3


@pytest.mark.parametrize(("installed", "more"), [(False, ""), (True, "; --model realesrgan-x4plus repairs ")])
def test_which_model_was_chosen_is_told_once(monkeypatch, capsys, installed, more):
    monkeypatch.setattr(packages, "installed", lambda extra: installed and extra == "realesrgan")
    for name in ("a.png", "b.png"):
        write_image(name, 8, 8)
    assert main(["upscale", "a.png", "b.png", "-o", "out"]) == 0
    out, err = capsys.readouterr()
    assert out == "2 made\n"
    assert err.startswith(
        "fastsr: made by photo-x4; --model fast-x4 is faster and keeps noise and artifacts as they are"
    )
    assert (more in err, "realesrgan" in err, err.count("\n")) == (True, installed, 1)


@pytest.mark.parametrize("options", [["--model", "photo-x4"], ["--scale", "2"], ["--quiet"]])
def test_nothing_is_told_where_nothing_is_to_choose(capsys, options):
    write_image("a.png", 8, 8)
    assert main(["upscale", "a.png", "-o", "out.png", *options]) == 0
    assert capsys.readouterr().err == ""
