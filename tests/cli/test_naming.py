"""What results are called and how large they are where the user did not say it whole; what a run tells."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.cli_images import damaged, size, write_image
from support.command import files, tree

from fastsr.cli.command import main
from fastsr.network import catalog

pytestmark = pytest.mark.usefixtures("here")


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("options", "name", "expected"),
    [
        ([], "in-x4.png", (64, 48)),
        (["--scale", "1.5"], "in-x1.5.png", (24, 18)),
        (["--size", "20x30"], "in-20x30.png", (20, 30)),
        (["--size", "20x"], "in-20x.png", (20, 15)),
        (["--size", "x30"], "in-x30.png", (40, 30)),
        (["--fit", "100x24"], "in-100x24.png", (32, 24)),
        (["--suffix", "-large"], "in-large.png", (64, 48)),
        (["--suffix=.big", "--format", "jpg"], "in.big.jpg", (64, 48)),
        (["--format", "webp"], "in-x4.webp", (64, 48)),
    ],
)
def test_results_lie_beside_their_sources(cli, options, name, expected):
    write_image("photos/in.png", 16, 12)
    said = f"1 made: photos/{name} ({expected[0]}x{expected[1]}, bicubic)\n"
    assert cli("photos/in.png", *options)[:2] == (0, said)
    assert files() == sorted([f"photos/{name}", "photos/in.png"])
    assert size(f"photos/{name}") == expected


def test_the_scale_in_a_name_is_the_models(capsys, model):
    write_image("in.png")
    assert main(["upscale", "in.png", "--model", "fast-x2"]) == 0
    assert main(["upscale", "in.png", "--model", model, "--format", "bmp"]) == 0
    assert files() == ["in-x2.bmp", "in-x2.png", "in.png"]


def test_a_folder_gets_one_beside_it(cli):
    write_image("photos/a.png")
    write_image("photos/sub/b.jpg")
    assert cli("photos/")[:2] == (0, "2 made\n")
    assert files("photos-x4") == ["a.png", "sub/b.jpg"]
    assert cli("photos", "-o", "out", "--suffix", "-big")[0] == 0
    assert files("out") == ["a-big.png", "sub/b-big.jpg"]


def test_what_cannot_be_written_becomes_a_png(cli):
    Image.new("RGB", (8, 6)).save("photo.dds")
    write_image("scan.png").rename("scan")
    assert cli("photo.dds", "scan")[0] == 0
    assert files() == ["photo-x4.png", "photo.dds", "scan", "scan-x4.png"]


def test_results_of_an_earlier_run_are_no_inputs(cli):
    write_image("a.png")
    write_image("b.jpg")
    assert cli("a.png", "b.jpg")[:2] == (0, "2 made\n")
    everything = files()
    code, out, _ = cli(*everything, "--force")
    assert (code, out) == (0, "2 made, 2 skipped (2 results of an earlier run)\n")
    assert files() == everything


def test_jpg_and_png_of_one_name_both_get_their_result(cli):
    write_image("a.jpg")
    write_image("a.png")
    assert cli("a.jpg", "a.png", "--format", "webp")[:2] == (0, "2 made\n")
    assert files() == ["a.jpg", "a.jpg-x4.webp", "a.png", "a.png-x4.webp"]


@pytest.mark.parametrize("output", ["x.tga", "x.jp2", "x.ppm", "new/x.tga"])
def test_a_name_with_a_suffix_is_a_file(cli, output):
    write_image("in.png")
    assert cli("in.png", "-o", output)[:2] == (0, "1 made\n")
    assert size(output) == (32, 24)


# ---------------------------------------------------------------- what folders hold


def test_folders_are_searched_by_content(cli):
    for suffix in ("jpe", "ppm", "tga", "jp2"):
        write_image(f"photos/{suffix}.{suffix}")
    write_image("photos/ico.ico", sizes=[(8, 6)])  # of itself Pillow 12 writes none smaller than 16x16
    write_image("photos/named.png").rename("photos/without")
    write_image("photos/other.png").rename("photos/other.txt")
    Path("photos/notes.txt").write_text("notes")
    Path("photos/BM.txt").write_text("BM is no bitmap when a text begins so")
    Path("photos/layers.psd").write_bytes(b"8BPS" + bytes(60))
    Path("photos/raw.nef").write_bytes(b"II*\0" + bytes(60))
    code, out, err = cli("photos", "-o", "out")
    assert (code, err) == (0, "")
    assert out == "7 made, 4 skipped (2 not images, 1 PSD, 1 camera raw)\n"
    assert files("out") == ["ico.ico", "jp2.jp2", "jpe.jpe", "other.txt.png", "ppm.ppm", "tga.tga", "without.png"]
    assert cli("photos/*", "-o", "again")[1] == out


def test_a_folder_without_images_says_what_is_in_it(cli):
    Path("photos").mkdir()
    Path("photos/notes.txt").write_text("notes")
    code, _, err = cli("photos", "-o", "out")
    assert (code, err) == (1, "fastsr: photos: no images in this folder (1 not images); name another\n")


def test_pipes_in_a_folder_are_not_waited_for(cli):
    write_image("photos/a.png")
    os.mkfifo("photos/pipe.png")
    assert cli("photos", "-o", "out")[:2] == (0, "1 made\n")


# ---------------------------------------------------------------- what is told


def test_json_tells_each_result(cli):
    write_image("photos/a.png", 8, 6)
    write_image("photos/b.png", 8, 6)
    write_image("out/b.png", 32, 24)
    damaged("text").rename("photos/c.png")
    code, out, err = cli("photos", "-o", "out", "--json")
    assert code == 1
    lines = {line["source"]: line for line in map(json.loads, out.splitlines())}
    made = lines["photos/a.png"]
    assert made.pop("seconds") >= 0
    assert made == {
        "status": "made",
        "source": "photos/a.png",
        "target": "out/a.png",
        "source_size": [8, 6],
        "size": [32, 24],
        "model": "bicubic",
        "engine": "pillow",
        "precision": "fp32",
    }
    assert lines["photos/b.png"] == {"status": "there", "source": "photos/b.png", "target": "out/b.png"}
    assert lines["photos/c.png"]["status"] == "failed"
    assert lines["photos/c.png"]["error"].startswith("photos/c.png: not an image")
    assert err.endswith("1 made, 1 already there (--force makes them again), 1 failed\n")


def test_json_tells_what_ends_a_run(cli):
    write_image("a.png")
    code, out, _ = cli("a.png", "--json", "--model", "bicubik")
    assert code == 1
    assert json.loads(out)["error"].startswith("unknown model 'bicubik'")
    code, out, _ = cli("a.png", "--json", "--scale", "0")
    assert (code, json.loads(out)) == (
        2,
        {"status": "failed", "error": "scale 0.0 must be a number above 0, such as 2 or 1.5"},
    )


def test_quiet_prints_errors_alone(cli):
    write_image("photos/a.png")
    assert cli("photos", "-o", "out", "--quiet") == (0, "", "")
    damaged("text").rename("photos/c.png")
    code, out, err = cli("photos", "-o", "out", "--quiet")
    assert (code, out) == (1, "")
    assert err.startswith("fastsr: photos/c.png: not an image")
    assert err.count("\n") == 1


def test_a_dry_run_makes_nothing(cli):
    write_image("photos/a.png", 8, 6)
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (9, 5)).save("photos/turned.jpg", exif=exif.tobytes())
    damaged("empty").rename("photos/c.png")
    before = tree()
    code, out, err = cli("photos", "-o", "new/out", "--dry-run")
    assert code == 1
    assert out == (
        "photos/a.png -> new/out/a.png (32x24, bicubic)\n"
        "photos/turned.jpg -> new/out/turned.jpg (20x36, bicubic)\n"
        "2 to make, 1 failed\n"
    )
    assert err.startswith("fastsr: photos/c.png: the file is empty")
    assert tree() == before
    code, out, _ = cli("photos/a.png", "--dry-run", "--json")
    assert (code, json.loads(out)["status"]) == (0, "planned")


# ---------------------------------------------------------------- default models


@pytest.mark.parametrize(("option", "expected"), [(["--size", "15x"], 1.5), (["--fit", "90x20"], 2.0)])
def test_the_default_model_fits_a_box(monkeypatch, model, option, expected, capsys):
    write_image("in.png", 10, 10)
    asked = []
    monkeypatch.setattr(catalog, "default", lambda scale, video: asked.append(scale) or model)
    assert main(["upscale", "in.png", "-o", "out.png", *option]) == 0
    assert asked == [expected]
    assert np.prod(size("out.png")) == (10 * expected) ** 2


def test_percent_signs_of_the_help_show_once(capsys):
    with pytest.raises(SystemExit):
        main(["upscale", "--help"])
    shown = capsys.readouterr().out
    assert "frames/%05d.png" in shown
    assert "%%" not in shown
