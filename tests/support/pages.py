"""README.md and docs/*.md, and what is fenced in them."""

import dataclasses
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVED = "docs/serve.md"  # whose blocks need a server; tests/web/test_serve_docs.py runs them
CLUSTERED = "docs/cluster.md"  # whose blocks need a cluster; tests/cluster/test_cluster_docs.py runs them
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


@dataclasses.dataclass(frozen=True)
class Block:
    """Text between two fences; `kind` stands behind the first."""

    page: str
    line: int
    kind: str
    text: str

    def __str__(self):
        return f"{self.page}:{self.line}"


def blocks(*kinds):
    """The fenced blocks of all pages; of all kinds where none is named."""
    found = []
    for page in PAGES:
        text, name = page.read_text(), str(page.relative_to(ROOT))
        for match in re.finditer(r"^```(.*)\n((?:.*\n)*?)```$", text, re.MULTILINE):
            block = Block(name, text.count("\n", 0, match.start()) + 2, match[1], match[2])
            if not kinds or block.kind in kinds:
                found.append(block)
    return found


def prose(page):
    """A page without its fenced blocks."""
    return re.sub(r"^```.*\n(?:.*\n)*?```$", "", page.read_text(), flags=re.MULTILINE)
