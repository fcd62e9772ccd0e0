"""Folders of images made by a cluster of three nodes: the same files as of one machine, told in the same way."""

import json
import os
import signal
from pathlib import Path

import pytest
from support.cli_images import write_image
from support.command import files
from support.ray_cluster import driver, wait_for
from support.small_models import compact

import fastsr

pytestmark = pytest.mark.slow


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, suffix in enumerate((".png", ".jpg", ".webp", ".tif", ".png", ".png")):
        write_image(f"photos/{'deep/' if number % 2 else ''}{number}{suffix}", 24 + number, 20, seed=number)
    return Path("photos")


def times(folder):
    return {name: (Path(folder) / name).stat().st_mtime_ns for name in files(folder)}


def contents(folder):
    return {name: (Path(folder) / name).read_bytes() for name in files(folder)}


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_the_same_files_as_of_one_machine(three_nodes, photos, cli):
    (photos / "bad.png").write_bytes(b"no image")
    alone = cli(photos, "-o", "alone", "--model", "fast-x2", "--device", "cpu", "--json")
    code, out, _ = cli(photos, "-o", "many", "--model", "fast-x2", "--cluster", three_nodes.address, "--json")
    assert code == alone[0] == 1
    assert contents("many") == contents("alone")
    assert len(contents("many")) == 6

    def told(text, folder):
        rows = [{k: v for k, v in line.items() if k not in ("seconds", "worker")} for line in lines(text)]
        return sorted(json.dumps(row).replace(folder, "") for row in rows)

    assert told(out, "many") == told(alone[1], "alone")
    assert all("/" in line["worker"] for line in lines(out) if line["status"] == "made")


def test_what_is_there_is_not_made_again(three_nodes, photos, cli):
    assert cli(photos, "-o", "large", "--cluster", three_nodes.address)[0] == 0
    before = times("large")
    (Path("large") / "0.png").unlink()
    code, out, _ = cli(photos, "-o", "large", "--cluster", three_nodes.address)
    assert (code, out) == (0, "1 made, 5 already there (--force makes them again)\n")
    assert {name for name, changed in times("large").items() if changed != before[name]} == {"0.png"}


def test_a_model_of_ones_own_is_sent(three_nodes, photos, cli):
    model = compact(2, seed=3).save(Path("own.onnx"))
    assert cli(photos, "-o", "alone", "--model", model, "--device", "cpu", "--quiet")[0] == 0
    model_moved = Path("moved.onnx")
    assert cli(photos, "-o", "many", "--model", model, "--cluster", three_nodes.address, "--quiet")[0] == 0
    assert contents("many") == contents("alone")
    assert not model_moved.exists()


def test_many_files_from_python(three_nodes, photos):
    pairs = {photos / name: Path("large") / name for name in files(photos)} | {Path("missing.png"): Path("large/m.png")}
    seen = []
    made = fastsr.upscale_many(pairs, cluster=three_nodes.address, model="fast-x2", progress=seen.append)
    alone = {source: Path("alone") / target.name for source, target in pairs.items()}
    here = fastsr.upscale_many(alone, model="fast-x2", device="cpu")
    assert [result.source for result in made] == list(pairs)
    assert {result.source for result in seen} == set(pairs)
    assert "no such file" in str(made[-1].error)
    for many, one in zip(made[:-1], here[:-1], strict=True):
        assert (many.error, many.size, many.model, many.engine) == (None, one.size, "fast-x2", "cpu")
        assert many.target.read_bytes() == one.target.read_bytes()
    assert not Path("large/m.png").exists()


def test_workers_that_are_killed(three_nodes, photos):
    """Each that has made the first of its images, which is at work on the next one by then."""
    for number in range(8):
        write_image(photos / f"more/{number}.png", 160, 120, seed=number)
    pairs = {photos / name: Path("many") / f"{name}.png" for name in files(photos)}
    killed = set()

    def kill(made):
        pid = int(made.worker.rpartition("/")[2])
        if len(killed) < 3 and pid not in killed:
            killed.add(pid)
            os.kill(pid, signal.SIGKILL)

    made = fastsr.upscale_many(pairs, cluster=three_nodes.address, model="photo-x4", progress=kill)
    assert len(killed) == 3
    assert [str(result.error) for result in made if result.error] == []
    alone = {source: Path("alone") / target.relative_to("many") for source, target in pairs.items()}
    fastsr.upscale_many(alone, model="photo-x4", device="cpu")
    assert contents("many") == contents("alone")


def test_one_large_image_in_parts(three_nodes, photos, cli, monkeypatch):
    write_image("in.png", 400, 300)
    for name, value in (("LARGE", 10_000), ("WIDTH", 300), ("HEIGHT", 100)):
        monkeypatch.setattr(f"fastsr.cluster.image_parts.{name}", value)
    options = ("--model", "fast-x2", "--region", "700x550+50+20", "--json")
    code, out, err = cli("in.png", "-o", "many.png", "--cluster", three_nodes.address, *options)
    assert code == 0, err
    assert len(lines(out)[0]["worker"].split(", ")) > 1
    assert cli("in.png", "-o", "alone.png", "--device", "cpu", *options)[0] == 0
    assert Path("many.png").read_bytes() == Path("alone.png").read_bytes()


def test_a_thousand_small_images(three_nodes, tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    for number in range(1000):
        write_image(f"in/{number % 10}/{number}.png", 6, 5, seed=number)
    assert cli("in", "-o", "many", "--scale", "2", "--cluster", three_nodes.address)[:2] == (0, "1000 made\n")
    assert cli("in", "-o", "alone", "--scale", "2")[:2] == (0, "1000 made\n")
    assert contents("many") == contents("alone")


def test_control_c_leaves_no_half_and_a_second_run_goes_on(three_nodes, tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    for number in range(12):
        write_image(f"in/{number:02d}.png", 300, 200, seed=number)
    arguments = ("upscale", "in", "-o", "many", "--model", "photo-x4", "--cluster", three_nodes.address)
    with driver(*arguments) as process:
        wait_for(lambda: len([name for name in files("many") if name.endswith(".png") and name[0] != "."]) >= 2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted" in err
    there = files("many")
    assert 2 <= len(there) < 12
    assert not [name for name in there if name.startswith(".")]
    before = times("many")
    with driver(*arguments) as process:
        wait_for(lambda: len([name for name in files("many") if name[0] != "."]) >= len(there) + 2)
        process.kill()
        process.communicate()
    code, _, err = cli(*arguments[1:])
    assert code == 0, err
    assert {name: changed for name, changed in times("many").items() if name in there} == before
    assert cli("in", "-o", "alone", "--model", "photo-x4", "--device", "cpu", "--quiet")[0] == 0
    assert contents("many") == contents("alone")
