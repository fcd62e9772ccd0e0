"""Uploads and results on disk: who may name which file, and when it is deleted.

folder/
  secret           of this folder, for names that nobody guesses
  files/           what is served; Gradio puts uploads here, each in a folder named by a keyed hash
    s-TOKEN/       a session: its photos and results; the token is what lets one see them
    v-KEY/         a video that is made, or is to be continued: named after what it is made of
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from fastsr import files
from fastsr.errors import FastsrError

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
SESSION, VIDEO = "s-", "v-"
UNFINISHED_DAYS = 7  # that a video which was not finished is kept for resuming
SWEEP_SECONDS = 60


class Store:
    """The folder of one server."""

    def __init__(self, folder: Path, keep_hours: float) -> None:
        """Make what is missing. Raises FastsrError where it cannot be written."""
        self.folder, self._keep = folder, keep_hours * 3600
        self.files = folder / "files"
        self._in_use: dict[Path, int] = {}  # folders that work goes on in
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.files.mkdir(exist_ok=True, mode=0o700)
            self.files = self.files.resolve()
            self._secret = self._kept_secret()
        except OSError as error:
            raise FastsrError(f"{files.write_failure(folder / 'files', error)}; --folder names another") from None

    def _kept_secret(self) -> bytes:
        path = self.folder / "secret"
        with contextlib.suppress(FileNotFoundError):
            known = path.read_bytes()
            if len(known) == 32:
                return known
        made = secrets.token_bytes(32)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(made)
        return made

    @property
    def page_secret(self) -> str:
        """What the browser keeps its session's token with, the same after a restart."""
        return self.keyed("page")[:32]

    def keyed(self, text: str) -> str:
        """A name for something that nobody guesses, the same each time."""
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()

    def uploaded(self, path: str | os.PathLike[str]) -> Path:
        """The file that a request names, which must be an upload or a result. Raises FastsrError for any other."""
        try:
            found = Path(path).resolve(strict=True)
            inside = found.relative_to(self.files).parts
        except (OSError, ValueError):
            raise FastsrError("the file is not here any more; upload it again") from None
        if len(inside) < 2 or not found.is_file():
            raise FastsrError("the file is not here any more; upload it again")
        self.use(found)
        return found

    def use(self, path: Path) -> None:
        """Note that a file in one of the folders was just used."""
        with contextlib.suppress(OSError):  # deleted in the meantime
            os.utime(self.files / path.relative_to(self.files).parts[0])

    def new_token(self) -> str:
        """The token of a new session."""
        return secrets.token_urlsafe(32)

    def session(self, token: str | None) -> Path:
        """The folder of a session, made if it is not there. Raises FastsrError for a token of another form."""
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise FastsrError("this is no session; reload the page")
        folder = self.files / f"{SESSION}{token}"
        folder.mkdir(exist_ok=True, mode=0o700)
        os.utime(folder)
        return folder

    def video(self, source: Path, settings: str) -> Path:
        """The folder of a video by its content and what is asked for, so that the same request finds it again."""
        with source.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        folder = self.files / f"{VIDEO}{self.keyed(f'video {digest} {settings}')}"
        folder.mkdir(exist_ok=True, mode=0o700)
        os.utime(folder)
        return folder

    @contextlib.contextmanager
    def in_use(self, folder: Path) -> Iterator[None]:
        """Keep a folder while work goes on in it."""
        with self._lock:
            self._in_use[folder] = self._in_use.get(folder, 0) + 1
        try:
            yield
        finally:
            with self._lock, contextlib.suppress(OSError):
                self._in_use[folder] -= 1
                if not self._in_use[folder]:
                    del self._in_use[folder]
                os.utime(folder)

    def link(self, source: Path, folder: Path, name: str) -> Path:
        """A file under another name in a folder, without a copy of its content where the disk can do that."""
        target = folder / name
        target.unlink(missing_ok=True)
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)
        return target

    def sweep(self, now: float | None = None) -> int:
        """Delete what was not used for so long that it need not be kept; returns how many folders and files."""
        now, gone = time.time() if now is None else now, 0
        for path in list(self.files.iterdir()):
            with self._lock, contextlib.suppress(OSError):
                if path in self._in_use or now - path.stat().st_mtime < self._kept_seconds(path):
                    continue
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()
                gone += 1
        return gone

    def _kept_seconds(self, path: Path) -> float:
        unfinished = path.name.startswith(VIDEO) and any(path.glob(".*.fastsr-work"))
        return max(self._keep, UNFINISHED_DAYS * 86400) if unfinished else self._keep

    def sweep_regularly(self) -> None:
        """Sweep now and every minute, in a thread that ends with the process."""

        def forever() -> None:
            while True:
                with contextlib.suppress(OSError):
                    self.sweep()
                time.sleep(SWEEP_SECONDS)

        threading.Thread(target=forever, name="sweep", daemon=True).start()


def safe_name(text: str) -> str:
    """A file's name as it may stand in a folder and a header: no path, nothing that steers anything."""
    name = re.sub(r"[^\w .()+,@=-]+", "_", Path(text).name, flags=re.UNICODE).strip(" .")
    stem, suffix = Path(name).stem[:100], Path(name).suffix[:12]
    return f"{stem or 'file'}{suffix}"
