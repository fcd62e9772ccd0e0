"""Results that are there already: kept where they are what is asked for, made again where they are stale."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.cli_images import damaged, size, write_image
from support.command import files

from fastsr.cli.command import main
from fastsr.images import provenance

pytestmark = pytest.mark.usefixtures("here")

THERE = "0 made, 1 already there (--force makes them again)\n"
MADE = "1 made\n"


def changed(path, seconds):
    """A file is so many seconds younger than it is."""
    state = Path(path).stat()
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + round(seconds * 1e9)))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".avif", ".bmp", ".tga", ".jp2"])
def test_the_same_call_makes_nothing_again(cli, suffix):
    write_image("in.png")
    for _ in range(2):
        assert cli("in.png", "-o", f"out{suffix}")[1] in (MADE, THERE)
    assert cli("in.png", "-o", f"out{suffix}")[1] == THERE
    assert cli("in.png", "-o", f"out{suffix}", "--force")[1] == MADE
    assert (provenance.mark_of(f"out{suffix}") is None) == (suffix in (".bmp", ".tga", ".jp2"))


@pytest.mark.parametrize(
    "options",
    [
        ["--scale", "3"],
        ["--size", "32x24"],
        ["--fit", "32x24"],
        ["--model", "nearest"],
        ["--precision", "fp32"],
        ["--quality", "50"],
        ["--compress"],
        ["--model", "fast-x2", "--blend", "0.5"],
    ],
)
def test_another_request_makes_the_result_again(cli, options):
    write_image("in.png")
    assert cli("in.png", "-o", "out.jpg")[1] == MADE
    assert cli("in.png", "-o", "out.jpg", *options, "--keep")[1] == THERE
    assert cli("in.png", "-o", "out.jpg", *options)[1] == MADE
    assert cli("in.png", "-o", "out.jpg", *options)[1] == THERE
    assert cli("in.png", "-o", "out.jpg")[1] == MADE


def test_a_changed_source_makes_the_result_again(cli):
    write_image("in.png", seed=1)
    assert cli("in.png", "-o", "out.png")[1] == MADE
    write_image("in.png", seed=2)
    changed("in.png", 5)
    assert cli("in.png", "-o", "out.png", "--keep")[1] == THERE
    assert cli("in.png", "-o", "out.png", "--model", "nearest")[1] == MADE
    np.testing.assert_array_equal(np.asarray(Image.open("out.png"))[::4, ::4], np.asarray(Image.open("in.png")))


def test_a_changed_model_makes_the_result_again(cli, model):
    write_image("in.png")
    shutil.copy(model, "m.onnx")
    changed("m.onnx", -60)
    assert cli("in.png", "-o", "out.png", "--model", "m.onnx")[1] == MADE
    assert cli("in.png", "-o", "out.png", "--model", "m.onnx")[1] == THERE
    changed("m.onnx", 120)
    assert cli("in.png", "-o", "out.png", "--model", "m.onnx")[1] == MADE


def test_nothing_is_loaded_when_all_is_done(cli, model):
    write_image("in.png")
    shutil.copy(model, "m.onnx")
    assert cli("in.png", "-o", "out.png", "--model", "m.onnx")[1] == MADE
    Path("m.onnx").unlink()
    assert cli("in.png", "-o", "out.png", "--model", "m.onnx")[:2] == (0, THERE)


def test_results_that_say_nothing_count_by_their_size(cli):
    write_image("photos/a.png", 4, 4)
    write_image("photos/b.png", 4, 4)
    write_image("photos/c.png", 4, 4)
    write_image("out/a.png", 16, 16)
    write_image("out/b.png", 5, 5)
    damaged("empty").rename("out/c.png")
    assert cli("photos", "-o", "out")[1] == "2 made, 1 already there (--force makes them again)\n"
    assert {name: size(f"out/{name}") for name in files("out")} == dict.fromkeys(("a.png", "b.png", "c.png"), (16, 16))
    assert provenance.mark_of("out/a.png") is None


@pytest.mark.parametrize(("name", "scale"), [("fast-x2", 2), ("fast-x4", 4), ("lanczos", 4), (None, 4)])
def test_the_size_is_that_of_the_model(capsys, name, scale):
    write_image("in.png", 4, 4)
    write_image("out.png", 4 * scale, 4 * scale)
    assert main(["upscale", "in.png", "-o", "out.png", *(["--model", name] if name else [])]) == 0
    assert capsys.readouterr().out == THERE


def test_a_file_of_the_user_is_not_replaced_by_a_name_of_ours(cli):
    write_image("in.png")
    theirs = write_image("in-x4.png", 3, 3).read_bytes()
    code, out, err = cli("in.png")
    assert (code, out) == (1, "0 made, 1 failed\n")
    assert err.startswith("fastsr: in-x4.png: is there already and was not made by fastsr; name another output with -o")
    assert Path("in-x4.png").read_bytes() == theirs
    code, _, err = cli("in.png", "in-x4.png")
    assert code == 1
    assert "in.png: its result would replace another input" in err
    assert Path("in-x4.png").read_bytes() == theirs
    assert cli("in.png", "--force")[1] == "1 made: in-x4.png (32x24, bicubic)\n"


def test_one_that_cannot_be_made_again_stays(cli):
    write_image("in.png")
    assert cli("in.png", "-o", "out.png")[1] == MADE
    before = Path("out.png").read_bytes()
    damaged("text").replace("in.png")
    changed("in.png", 5)
    assert cli("in.png", "-o", "out.png")[0] == 1
    assert Path("out.png").read_bytes() == before


def test_force_and_keep_contradict_each_other(capsys):
    with pytest.raises(SystemExit) as end:
        main(["upscale", "in.png", "--force", "--keep"])
    assert end.value.code == 2
    assert "argument --keep: not allowed with argument --force" in capsys.readouterr().err
