"""What docs/serve.md shows runs, against a server."""

import shlex
import shutil
import subprocess

import pytest
from PIL import Image
from support.pages import SERVED, blocks
from support.small_models import SAMPLE

from fastsr.cli.command import argument_parser

ADDRESS = "http://127.0.0.1:7860"


@pytest.fixture
def photo(here):
    """A small one to work with."""
    with Image.open(SAMPLE) as image:
        image.convert("RGB").resize((40, 30)).save("photo.jpg")


def of_page(kind):
    found = [block for block in blocks(kind) if block.page == SERVED]
    assert found
    return found


@pytest.mark.parametrize("block", of_page("python"), ids=str)
def test_python(block, address, photo):
    names = {}
    exec(compile(block.text.replace(ADDRESS, address), SERVED, "exec"), names)
    with Image.open(names["large"]) as made:
        assert made.size == (80, 60)


@pytest.mark.parametrize("block", of_page("sh"), ids=str)
def test_sh(block, request, photo):
    if block.text.startswith("fastsr serve"):
        for line in block.text.splitlines():
            words = shlex.split(line, comments=True)
            assert argument_parser().parse_args(words[1:]).command == "serve"
        return
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    script = block.text.replace(ADDRESS, request.getfixturevalue("address"))
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    with Image.open("large.jpg") as made:
        assert made.size == (80, 60)
