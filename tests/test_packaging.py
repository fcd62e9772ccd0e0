"""What goes into a source distribution and a wheel; what a wheel is asked to do."""

import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOP = [*ROOT.glob("*.toml"), *ROOT.glob("*.md"), *(ROOT / name for name in ("setup.py", "CMakeLists.txt", "LICENSE"))]
CSRC = [path for path in (ROOT / "csrc").rglob("*") if path.is_file()]
PACKAGE = [path for path in (ROOT / "fastsr").rglob("*") if path.is_file() and path.suffix not in (".so", ".pyc")]


def relative(paths):
    return {str(path.relative_to(ROOT)) for path in paths}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of what is packed: setuptools writes where it works."""
    pytest.importorskip("setuptools", minversion="77", reason="setuptools 77 is needed to build")
    pytest.importorskip("pybind11", reason="pybind11 is needed to build")
    folder = tmp_path_factory.mktemp("checkout")
    for path in [*TOP, ROOT / "MANIFEST.in", *CSRC, *PACKAGE, *(ROOT / "fastsr").glob("*.so")]:
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return folder


def setup(checkout, *arguments):
    command = [sys.executable, "setup.py", "--quiet", *arguments]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_source_distribution_has_all_that_a_build_needs(checkout):
    setup(checkout, "sdist", "--dist-dir", "made")
    (made,) = (checkout / "made").iterdir()
    with tarfile.open(made) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert relative([*TOP, *CSRC, *PACKAGE]) <= names
    assert [name for name in names if name.endswith(".so")] == []


def test_a_wheel_has_the_models_and_the_types(checkout):
    setup(checkout, "build_py", "--build-lib", "lib")
    made = {str(path.relative_to(checkout / "lib")) for path in (checkout / "lib").rglob("*") if path.is_file()}
    assert made == relative(PACKAGE)
    assert {"fastsr/py.typed", "fastsr/_core.pyi", "fastsr/models/fast-x4.onnx", "fastsr/models/models.toml"} <= made


def test_shells_and_man_find_their_files(checkout):
    setup(checkout, "install_data", "--install-dir", "installed")
    root = checkout / "installed"
    made = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert made == {
        "share/bash-completion/completions/fastsr",
        "share/fish/vendor_completions.d/fastsr.fish",
        "share/man/man1/fastsr.1",
        "share/zsh/site-functions/_fastsr",
    }


def test_what_every_wheel_is_asked_to_do():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["cibuildwheel"]
    script = ROOT / settings["test-command"].removeprefix("python {project}/")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "fast-x4 x4 on cpu" in done.stdout
