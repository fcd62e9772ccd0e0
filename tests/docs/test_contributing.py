"""The tables of environment variables and of licences have all that there is."""

import re
import tomllib

from support.pages import ROOT

CODE = [path for pattern in ("*.py", "*.cpp") for path in ROOT.rglob(pattern) if ".venv" not in path.parts]
READ = re.compile(r'(?:environ(?:\.get|\.setdefault)?[\[(]|getenv\()"(\w+)"')


def test_every_environment_variable_is_explained():
    read = {name for path in CODE for name in READ.findall(path.read_text())}
    build = re.search(r"for name in \((.*)\):\n +if os.environ.get\(name\)", (ROOT / "setup.py").read_text())
    read.update(re.findall(r"\w+", build[1]))
    table = (ROOT / "docs" / "contributing.md").read_text().split("## Environment variables")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == read


def test_every_dependency_has_its_licence_noted():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {name: wanted for name, wanted in project["optional-dependencies"].items() if name not in ("dev", "bench")}
    named = {re.match(r"[\w-]+", wanted)[0] for wanted in sum(extras.values(), project["dependencies"])}
    table = (ROOT / "LICENSES.md").read_text().split("| package |")[1].split("\n\n")[0]
    noted = {name for names in re.findall(r"^\| ([^|]*) \|", table, re.MULTILINE) for name in names.split(", ")}
    assert named == noted
