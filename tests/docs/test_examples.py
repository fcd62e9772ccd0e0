"""What a newcomer copies runs: the fenced blocks of all pages, each in a folder of its own with small samples.

Not quite as written: a training run gets settings that make it one small step on the CPU (TINY), `make` runs dry,
pytest only collects, and of a benchmark it is only looked whether there is one. A page's GPU runs on the CPU here, by
another name of the device; on a machine that has one, as written.
"""

import importlib.util
import itertools
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import ncnn_networks
from support.pages import CLUSTERED, PAGES, ROOT, SERVED, blocks, prose
from support.small_models import SAMPLE

import fastsr
from fastsr.cli.command import argument_parser, main
from fastsr.network import catalog

KINDS = {"python", "sh", "text"}  # text: drawings, and what is printed
COMMAND = re.compile(r"(fastsr|python|make|pip|import|from) |fastsr\.|\.ci/")
OUTPUTS = {"-o", "--output", "--out", "--json", "--strips"}
TINY = ["steps=1", "compile=false", "data.batch=1", "data.crop=32", "data.holdout=1"]
ELSEWHERE = (SERVED, CLUSTERED)  # pages whose blocks other tests run
ON_GPU = 'device="cuda"'

VIDEOS = ("video.mp4", "in.mp4", "in.mkv", "videos/one.mkv")
SETS = ("photos", "my-photos", "faces", "Set5", "BSD100")
SCRIPTS = {
    "decoder": "exec cat decoded.y4m",
    "player": "exec cat > played.y4m",
    "mpv": "exec cat > played.y4m",
    "fastsr": f'PYTHONPATH={ROOT} exec {sys.executable} -m fastsr "$@"',
}


@pytest.fixture(scope="session")
def samples(tmp_path_factory):
    """The files that the pages name, small."""
    pytest.importorskip("av", reason="PyAV is not installed")
    from support import video_samples as video_samples

    here = tmp_path_factory.mktemp("samples")
    with Image.open(SAMPLE) as image:
        image.resize((16, 12)).save(here / "photo.jpg")
        image.resize((512, 256)).save(here / "landscape.jpg")  # of whose results there are parts
        for name in SETS:
            (here / name).mkdir()
            side = 16 if name == "photos" else 128  # `training prepare` leaves smaller ones out
            for number in range(2):
                image.crop((0, side * number, side, side * number + side)).save(here / name / f"{number}.png")
    for name in VIDEOS:
        (here / name).parent.mkdir(exist_ok=True)
        video_samples.video(here / name, frames=4, sound=True)
    (here / "frames").mkdir()
    for number in range(1, 4):
        Image.fromarray(video_samples.frame_pixels(number)).save(here / "frames" / f"{number:05d}.png")
    frame = b"FRAME\n" + bytes(48 * 32 * 3 // 2)
    (here / "decoded.y4m").write_bytes(b"YUV4MPEG2 W48 H32 F25:1 C420\n" + 3 * frame)
    shutil.copy(catalog.find("fast-x4"), here / "fast-x4.onnx")
    ncnn_networks.write(ncnn_networks.compact(), here, "model")
    (here / "bin").mkdir()
    for name, script in SCRIPTS.items():
        (here / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (here / "bin" / name).chmod(0o755)
    return here


@pytest.fixture
def here(samples, tmp_path, monkeypatch):
    """A copy of them to work in."""
    shutil.copytree(samples, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASTSR_MODELS", str(tmp_path / "imported"))
    return tmp_path


def test_every_block_is_of_a_kind_that_is_run_here():
    assert [str(block) for block in blocks() if block.kind not in KINDS] == []
    assert [page.name for page in PAGES if "```" in prose(page)] == []


def test_commands_stand_in_fenced_blocks():
    drawn = [line for block in blocks("text") for line in block.text.splitlines()]
    drawn += [line[4:] for page in PAGES for line in prose(page).splitlines() if line.startswith("    ")]
    assert [line for line in drawn if COMMAND.match(line)] == []


def python_of(page):
    return "\n".join(block.text for block in blocks("python") if block.page == page)


WITH_PYTHON = list(dict.fromkeys(block.page for block in blocks("python") if block.page not in ELSEWHERE))
ON_CPU = [pytest.param(page, "cpu", id=page) for page in WITH_PYTHON]
AS_WRITTEN = [
    pytest.param(page, "cuda", id=f"{page}-cuda", marks=pytest.mark.gpu)
    for page in WITH_PYTHON
    if ON_GPU in python_of(page)
]


@pytest.mark.parametrize(("page", "device"), ON_CPU + AS_WRITTEN)
def test_python(page, device, here):
    code = python_of(page).replace(ON_GPU, f'device="{device}"')
    names = {"frames": [np.full((12, 16, 3), 90, np.uint8)] * 2}
    if re.search(r"\btensor\b", code):
        torch = pytest.importorskip("torch", reason="torch is not installed")
        names["tensor"] = torch.zeros(1, 3, 12, 16, device=device)
    exec(compile(code, page, "exec"), names)
    if page == "README.md":
        with Image.open("large.png") as made:
            assert made.size == (64, 48)


@pytest.mark.parametrize("block", [block for block in blocks("sh") if block.page not in ELSEWHERE], ids=str)
def test_sh(block, here, capsys):
    lines = [shlex.split(line, comments=True) for line in block.text.splitlines()]
    if any(words[:3] == ["python", "-m", "training"] for words in lines):
        pytest.importorskip("lightning_fabric", reason="training's extra is not installed")
        train(["prepare", "my-photos", "-o", "data/train.safetensors"])
    for line, words in zip(block.text.splitlines(), lines, strict=True):
        if not words:
            continue
        targets = [Path(target) for option, target in itertools.pairwise(words) if option in OUTPUTS]
        before = [stamp(target) for target in targets]
        capsys.readouterr()
        assert run(line, words) == 0, f"{line}\n{capsys.readouterr().err}"
        for target, was in zip(targets, before, strict=True):
            assert target.name == "-" or stamp(target) not in (None, was), f"{line}: left {target} as it was"


def stamp(path):
    """Another one when a file was written or a folder got one."""
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path.exists() else None


def run(line, words):
    """The exit code of one line; a command that is not known here is an error."""
    if "|" in words:
        return through_pipes(line)
    if words[:2] == ["fastsr", "serve"]:  # which would go on
        return int(argument_parser().parse_args(words[1:]).command != "serve")
    if words[0] == "fastsr":
        return main([name for word in words[1:] for name in expanded(word)])
    if words[:3] == ["python", "-m", "training"]:
        return train(words[3:])
    if words[0] == "make":
        return outside(["make", "--dry-run", *words[1:]])
    while re.fullmatch(r"[A-Z_]+=\S+", words[0]):
        words = words[1:]
    module = words[2] if words[:2] == [".venv/bin/python", "-m"] else ""
    if module == "pytest":
        return outside([sys.executable, "-m", "pytest", "--collect-only", "-q", *words[3:]])
    if module.startswith("benchmarks."):
        return int(importlib.util.find_spec(module) is None)
    pytest.fail(f"{line!r} is a command that no test knows how to run")


def expanded(word):
    """As a shell does it."""
    return sorted(str(path) for path in Path().glob(word)) if "*" in word else [word]


def train(arguments):
    from training import __main__ as training

    if arguments[0] == "train":
        arguments = [*arguments, "--device", "cpu", "--set", *TINY]
    return training.main(arguments)


def through_pipes(line):
    shell = ["bash", "-c", f"set -euo pipefail; PATH=$PWD/bin:$PATH; {line}"]
    code = subprocess.run(shell, check=False, timeout=60).returncode
    if "player" in line or "mpv" in line:
        assert Path("played.y4m").read_bytes().startswith(b"YUV4MPEG2 W96 H64 ")
    else:
        with Image.open(line.split("#")[0].split(">")[1].strip()) as made:
            assert made.size == (64, 48)
    return code


def outside(command):
    """What concerns the repository runs there."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    sys.stderr.write(done.stdout + done.stderr)
    return done.returncode


def test_modules_that_pages_name_exist():
    ours = re.compile(r"python -m ((?:fastsr|training|benchmarks)(?:\.\w+)*)")
    named = {name for page in PAGES for name in ours.findall(page.read_text())}
    assert {"training", "benchmarks.report"} <= named
    assert [name for name in sorted(named) if importlib.util.find_spec(name) is None] == []


def test_names_of_fastsr_in_pages_exist():
    named = {name for page in PAGES for name in re.findall(r"\bfastsr\.(\w+)\(", page.read_text())}
    assert "upscale_video" in named
    assert named <= set(fastsr.__all__)
