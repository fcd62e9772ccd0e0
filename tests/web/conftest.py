"""A server, a client and a browser."""

import re

import pytest
from support.browser import Watched, chromium
from support.visitor import BUSY, open_page
from support.web_server import PATIENT, serving


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

    return Client(address, verbose=False, httpx_kwargs=PATIENT)


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium, which tests open pages in."""
    with chromium() as started:
        yield started


@pytest.fixture
def visit(browser, request):
    """Opens the page for a new visitor; at the end nothing may have been asked of others, or complained of."""
    visits = []
    lost = re.compile("ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING)")  # of a server that a test killed

    def opened(url=None, **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(BUSY)
        page = context.new_page()
        visits.append((context, Watched(page)))
        open_page(page, url or request.getfixturevalue("address"))
        return page

    yield opened
    for context, watched in visits:
        assert watched.elsewhere == []
        assert [text for text in watched.complaints if not lost.search(text)] == []
        context.close()
