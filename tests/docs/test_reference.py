"""`make docs`: a page for every public name, with its signature and with what its docstring says."""

import html
import inspect
import re
import shlex
import subprocess
import sys

import pytest
from support.pages import ROOT

import fastsr
from fastsr import ops

pytest.importorskip("pdoc", reason="pdoc is not installed")
pytest.importorskip("av", reason="PyAV is not installed")

HEADINGS = ("Args:", "Attributes:", "Raises:", "Returns:", "Warns:")


def public():
    """(name on a page, what it stands for): functions, classes, and what classes offer."""
    for module in (fastsr, ops):
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.ismodule(value) or isinstance(value, tuple):
                continue
            yield f"{module.__name__}.{name}", value
            if inspect.isclass(value):
                members = {key: member for key, member in vars(value).items() if key[0] != "_"}
                own = {
                    key: member for key, member in members.items() if callable(member) or isinstance(member, property)
                }
                yield from ((f"{module.__name__}.{name}.{key}", member) for key, member in own.items())


PUBLIC = list(public())
FUNCTIONS = [(name, value) for name, value in PUBLIC if inspect.isfunction(value)]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The text of every part of the reference by its name, built as `make docs` does."""
    folder = tmp_path_factory.mktemp("reference")
    line = re.search(r"^docs:.*\n\t\$\(BIN\)/python (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    command = [word.replace("build/docs", str(folder)) for word in shlex.split(line)]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found = {}
    for name in ("fastsr", "fastsr.ops"):
        parts = re.split(r'<(?:section|div) id="([\w.]+)"', (folder / f"{name.replace('.', '/')}.html").read_text())
        for part, text in zip(parts[1::2], parts[2::2], strict=True):
            found[f"{name}.{part}"] = plain(html.unescape(re.sub(r"<[^>]*>", "", text)))
    return found


def plain(text):
    """Without what differs between a docstring and a page."""
    return re.sub(r"[\s`]", "", text)


@pytest.mark.parametrize(("name", "value"), PUBLIC, ids=[name for name, _ in PUBLIC])
def test_a_public_name_is_there_with_its_docstring(name, value, reference):
    lines = [line for line in inspect.getdoc(value).splitlines() if line not in HEADINGS]
    assert [line for line in lines if plain(line) not in reference[name]] == []


@pytest.mark.parametrize(("name", "value"), FUNCTIONS, ids=[name for name, _ in FUNCTIONS])
def test_every_argument_is_shown_and_explained(name, value, reference):
    arguments = [argument for argument in inspect.signature(value).parameters if argument != "self"]
    assert [argument for argument in arguments if f"{argument}:" not in reference[name]] == []
    if name != "fastsr.Upscaler.enlarge":  # for those who know fastsr.images
        explained = re.search(r"^Args:\n((?:    .*\n)+)", f"{inspect.getdoc(value)}\n", re.MULTILINE)
        assert re.findall(r"^    (\w+): ", explained[1] if explained else "", re.MULTILINE) == arguments
