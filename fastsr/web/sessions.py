"""A visitor's session: the results that were made in it, which outlive a reload of the page and of the server."""

from __future__ import annotations

import dataclasses
import json
import secrets
import zipfile
from pathlib import Path
from typing import Any

from fastsr import files
from fastsr.web.photos import MadePhoto

_LIST, _ZIP, _VIDEO = "results.json", "photos.zip", "video.txt"
MAX_RESULTS = 200  # that a session lists


class Session:
    """The folder of a session, by `Store.session`."""

    def __init__(self, folder: Path) -> None:
        """A session whose folder is there."""
        self.folder = folder

    def place(self) -> Path:
        """An empty folder for one photo and its result."""
        made = self.folder / secrets.token_hex(6)
        made.mkdir()
        return made

    def results(self) -> list[MadePhoto]:
        """What was made so far and is still there, in order."""
        try:
            entries = json.loads((self.folder / _LIST).read_bytes())
            found = [_from_json(self.folder, entry) for entry in entries]
        except (OSError, ValueError, TypeError, KeyError):
            return []
        return [made for made in found if made.path.is_file() and made.original.is_file()]

    def add(self, made: MadePhoto) -> None:
        """List a result."""
        entries = [_to_json(self.folder, known) for known in [*self.results(), made][-MAX_RESULTS:]]
        files.replace(self.folder / _LIST, json.dumps(entries).encode())

    def clear(self) -> None:
        """Forget the results; their files are deleted with the session."""
        (self.folder / _LIST).unlink(missing_ok=True)

    def note_video(self, folder: str) -> None:
        """Remember the folder of the video that was asked for last, by its name."""
        files.replace(self.folder / _VIDEO, folder.encode())

    def video(self) -> str | None:
        """The name of that folder; None where there is none."""
        try:
            return Path((self.folder / _VIDEO).read_text()).name or None
        except (OSError, ValueError):
            return None

    def archive(self) -> Path:
        """All results in one zip, without compressing them again; names that come twice get numbers."""
        path, taken = self.folder / _ZIP, set[str]()
        with files.replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            for made in self.results():
                name, number = made.path.name, 2
                while name in taken:
                    name = f"{made.path.stem}-{number}{made.path.suffix}"
                    number += 1
                taken.add(name)
                archive.write(made.path, name)
        return path


def _to_json(folder: Path, made: MadePhoto) -> dict[str, Any]:
    paths = {name: str(getattr(made, name).relative_to(folder)) for name in ("path", "original")}
    return dataclasses.asdict(made) | paths


def _from_json(folder: Path, entry: dict[str, Any]) -> MadePhoto:
    return MadePhoto(
        path=folder / entry["path"],
        original=folder / entry["original"],
        source_size=(int(entry["source_size"][0]), int(entry["source_size"][1])),
        size=(int(entry["size"][0]), int(entry["size"][1])),
        model=str(entry["model"]),
        seconds=float(entry["seconds"]),
    )
