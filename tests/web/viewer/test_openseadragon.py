"""The library of others that the viewer uses: what its page says of it is true."""

import hashlib
import re
from pathlib import Path

import fastsr

ROOT = Path(fastsr.__file__).parents[1]
FOLDER = ROOT / "fastsr" / "web" / "viewer" / "openseadragon"
PAGE = (FOLDER / "README.md").read_text()


def test_the_file_is_the_one_that_was_released():
    version = re.search(r"of version ([\d.]+)", PAGE)[1]
    data = (FOLDER / "openseadragon.min.js").read_bytes()
    assert hashlib.sha256(data).hexdigest() == re.search(r"SHA-256 of the file \| `(\w+)`", PAGE)[1]
    assert f"openseadragon {version}\n".encode() in data[:100]


def test_its_licence_comes_with_it():
    assert "OpenSeadragon contributors" in (FOLDER / "LICENSE.txt").read_text()
    row = next(line for line in (ROOT / "LICENSES.md").read_text().splitlines() if "OpenSeadragon" in line)
    assert "BSD-3-Clause" in row
