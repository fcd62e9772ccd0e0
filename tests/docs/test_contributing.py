"""The table of environment variables has all that the code reads, and no others."""

import re

from pages import ROOT

CODE = [path for pattern in ("*.py", "*.cpp") for path in ROOT.rglob(pattern) if ".venv" not in path.parts]
READ = re.compile(r'(?:environ(?:\.get|\.setdefault)?[\[(]|getenv\()"(\w+)"')


def test_every_environment_variable_is_explained():
    read = {name for path in CODE for name in READ.findall(path.read_text())}
    build = re.search(r"for name in \((.*)\):\n +if os.environ.get\(name\)", (ROOT / "setup.py").read_text())
    read.update(re.findall(r"\w+", build[1]))
    table = (ROOT / "docs" / "contributing.md").read_text().split("## Environment variables")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == read
