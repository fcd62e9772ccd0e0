"""A server, a client and a browser."""

import pytest
from support.browser import chromium
from support.web_server import serving


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Where the server keeps its files."""
    return tmp_path_factory.mktemp("served") / "web"


@pytest.fixture(scope="session")
def address(folder):
    """A server with tight limits, and imported models of its own."""
    pytest.importorskip("gradio", reason='Gradio is not installed: pip install "fastsr[web]"')
    options = ("--max-megapixels", "2", "--max-megabytes", "3")
    with serving(folder, *options, FASTSR_MODELS=str(folder.parent / "models")) as (url, _):
        yield url


@pytest.fixture(scope="session")
def client(address):
    """A program that calls it."""
    from gradio_client import Client

    return Client(address, verbose=False)


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium, which tests open pages in."""
    with chromium() as started:
        yield started
