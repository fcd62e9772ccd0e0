"""Imports run one way: the layers of pyproject.toml hold, and docs/architecture.md names them in the same order."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONTRACTS = {
    c["id"]: c for c in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
}


def test_imports_keep_to_the_layers():
    pytest.importorskip("importlinter", reason="needs: make .venv/development")
    code = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert f"{len(CONTRACTS)} kept, 0 broken" in done.stdout


def test_the_page_names_the_same_layers():
    """Rows of the first table, from above to below, with the names of a layer in code style."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    table = re.search(r"\| layers?, .*?\n\n", page, re.S)
    rows = [re.findall(r"`([\w]+)`", line.split("|")[1]) for line in table[0].strip().splitlines()[2:]]
    expected = [re.split(r"\s*[|:]\s*", layer) for layer in CONTRACTS["layers"]["layers"] if layer != "__main__"]
    assert [sorted(row) for row in rows] == [sorted(layer) for layer in expected]


def test_every_package_says_what_lives_in_it():
    packages = [p for p in (ROOT / "fastsr").rglob("__init__.py") if p.parent.name != "fastsr"]
    assert len(packages) >= 10
    for init in packages:
        doc = init.read_text().split('"""')[1].strip().splitlines()
        assert len(doc) >= 3, f"{init.relative_to(ROOT)}: what lives here, and what may not"


@pytest.mark.parametrize("folder", ["engines", "upscaler.py", "pixel_upscalers.py", "loading.py"])
def test_what_an_engine_can_do_is_a_protocol(folder):
    """Not a lookup by name, which type checkers cannot follow."""
    place = ROOT / "fastsr" / folder
    for path in [place] if place.is_file() else place.rglob("*.py"):
        text = path.read_text()
        assert not re.search(r"hasattr\((self\.|generator\.)?(engine|current|first)\b", text), path
        assert "attr-defined" not in text, path
