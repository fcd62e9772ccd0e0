"""The tables of environment variables and of licences have all that there is."""

import itertools
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


def test_the_recipes_name_files_that_are_there():
    """Every path in code style; a bare name is a file beside the one that was named before it."""
    page = (ROOT / "docs" / "contributing.md").read_text()
    recipes = page.split("## Recipes")[1].split("\n## ")[0].split("\n### ")[1:]
    assert [recipe.splitlines()[0] for recipe in recipes] == [
        "Add an operator to the native engine",
        "Add an instruction set",
        "Add an engine",
        "Add a model",
    ]
    for recipe in recipes:
        steps = re.split(r"\n\d+\. ", recipe)[1:]
        assert len(steps) >= 6
        named = [re.findall(r"`([\w/.-]+?(?:\.(?:py|pyi|h|cpp|md|toml|txt|json)|/))`", step) for step in steps]
        assert sum(map(bool, named)) >= len(steps) - 1
        folder = ROOT
        for name in itertools.chain.from_iterable(named):
            path = folder / name if "/" not in name and not (ROOT / name).exists() else ROOT / name
            assert path.exists(), name
            folder = path.parent
