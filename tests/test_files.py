"""Files written whole or not at all, and what processes that were killed leave of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fastsr import files

ROOT = Path(__file__).parent.parent
WRITING = """
import sys, time
from pathlib import Path
from fastsr import files
with files.replacing(Path(sys.argv[1])) as written:
    written.write_bytes(b"half")
    print(written.name, flush=True)
    time.sleep(60)
"""


def writing(path):
    """A process that is writing a file, and the name it writes it under."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", WRITING, path], env=environment, stdout=subprocess.PIPE, text=True
    )
    return process, process.stdout.readline().strip()


@pytest.fixture
def unsearched(monkeypatch):
    """As in a process that has written nothing yet."""
    monkeypatch.setattr(files, "_searched", set())


@pytest.mark.usefixtures("unsearched")
def test_what_a_killed_process_left_is_removed(tmp_path):
    killed, left = writing(tmp_path / "a.png")
    alive, kept = writing(tmp_path / "b.png")
    try:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        others = (".fastsr-12-0123456789ab.tmp.png", "fastsr-12-0123456789ab.tmp", ".fastsr-work")
        for name in others:
            (tmp_path / name).touch()
        (tmp_path / "elsewhere").touch()
        (tmp_path / ".fastsr-7-0123456789ab.tmp").symlink_to("elsewhere")
        (tmp_path / ".fastsr-8-0123456789ab.tmp").mkdir()
        os.mkfifo(tmp_path / ".fastsr-9-0123456789ab.tmp")
        assert (tmp_path / left).read_bytes() == b"half"
        before = {path.name for path in tmp_path.iterdir()}
        files.replace(tmp_path / "c.png", b"whole")
        assert {path.name for path in tmp_path.iterdir()} == before - {left} | {"c.png"}
        assert (tmp_path / kept).read_bytes() == b"half"
    finally:
        for process in (killed, alive):
            process.kill()
            process.communicate()


def test_an_empty_file_is_there_to_write_into(tmp_path):
    before = os.umask(0o027)
    try:
        with files.replacing(tmp_path / "a") as written:
            assert written.read_bytes() == b""
            assert written.stat().st_mode & 0o777 == 0o640
            written.write_bytes(b"new")
    finally:
        os.umask(before)
    assert (tmp_path / "a").read_bytes() == b"new"
    assert [*tmp_path.iterdir()] == [tmp_path / "a"]


@pytest.mark.usefixtures("unsearched")
def test_a_folder_is_searched_once(tmp_path, monkeypatch):
    searched = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: searched.append(path) or scandir(path))
    for name in ("a", "b", "c"):
        files.replace(tmp_path / name, b"")
    assert searched == [str(tmp_path)]


@pytest.mark.usefixtures("unsearched")
def test_a_file_removed_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    """What another process may do between our making and our locking it."""
    lock, taken = files.fcntl.flock, []

    def late(descriptor, how):
        if not taken:
            taken.append(Path(f"/proc/self/fd/{descriptor}").readlink())
            taken[0].unlink()
        lock(descriptor, how)

    monkeypatch.setattr(files.fcntl, "flock", late)
    files.replace(tmp_path / "a", b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"
    assert len(taken) == 1


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(files.fcntl, "flock", refuse)
    monkeypatch.setattr(files, "_searched", set())
    left = tmp_path / ".fastsr-7-0123456789ab.tmp"
    left.touch()
    files.replace(tmp_path / "a", b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"
    assert left.exists()
