"""Links and images of README.md and docs/*.md lead somewhere."""

import re

import pytest
from support.pages import PAGES, ROOT, prose

LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page):
    """The names that headings have on a rendered page."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links(page):
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: no such file"
        assert target.is_relative_to(ROOT), f"{link}: outside of the repository"
        assert not anchor or anchor in anchors(target), f"{link}: no such heading"


def test_images_are_shown_somewhere():
    text = "\n".join(page.read_text() for page in PAGES)
    assert [p.name for p in (ROOT / "docs" / "assets").iterdir() if f"assets/{p.name}" not in text] == []
