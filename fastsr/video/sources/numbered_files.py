"""Names with a number in them (`frames/%05d.png`): checked, filled in, and found on disk."""

from __future__ import annotations

import re
from pathlib import Path

from fastsr.errors import VideoError
from fastsr.video_formats import NUMBER

_LONGEST_WIDTH = 2  # digits of a number of digits


def checked_pattern(text: str) -> str:
    """The pattern as it came. Raises VideoError for one whose numbers are too long for the name of a file."""
    found = NUMBER.search(Path(text).name)
    if found is not None and len(found[2]) > _LONGEST_WIDTH:
        raise VideoError(f"{text}: {found[0]} asks for too many digits; write %05d or so")
    return text


def numbered(pattern: str, number: int) -> Path:
    """The file of one number."""
    path = Path(pattern)
    return path.with_name(NUMBER.sub(lambda found: f"{number:{found[1]}{found[2]}d}", path.name, count=1))


def existing_files(pattern: str) -> list[Path]:
    """Existing files of a pattern, by number. Raises VideoError for none, and for a gap."""
    path = Path(pattern)
    found = NUMBER.search(path.name)
    assert found is not None
    before, after = re.escape(path.name[: found.start()]), re.escape(path.name[found.end() :])
    matching = re.compile(f"{before}(\\d+){after}")
    try:
        matches = [match for entry in path.parent.iterdir() if (match := matching.fullmatch(entry.name))]
    except OSError as error:
        raise VideoError(f"{path.parent}: cannot be read ({error.strerror}); check the name") from None
    files = {int(match[1]): path.with_name(match[0]) for match in matches}
    if not files:
        raise VideoError(f"{pattern}: no file matches it; check the name")
    for number in range(min(files), max(files)):
        if number not in files:
            raise VideoError(f"{numbered(pattern, number)}: is missing in the sequence; number the files without a gap")
    return [files[number] for number in sorted(files)]
