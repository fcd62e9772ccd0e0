"""What is kept on disk, for how long, and what is deleted."""

import os
import time

import pytest

from fastsr.errors import FastsrError
from fastsr.web.store import UNFINISHED_DAYS, Store, safe_name


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "web", keep_hours=1)


def age(path, hours):
    os.utime(path, (time.time() - hours * 3600,) * 2)


def test_what_was_not_used_for_an_hour_is_deleted(store):
    old, new = (store.session(store.new_token()) for _ in range(2))
    (old / "photo.png").write_bytes(b"x")
    (store.files / "loose").write_bytes(b"x")
    age(old, 1.1)
    age(store.files / "loose", 1.1)
    assert store.sweep() == 2
    assert sorted(store.files.iterdir()) == [new]


def test_asking_for_a_session_or_a_file_of_it_is_use(store):
    token = store.new_token()
    folder = store.session(token)
    (folder / "photo.png").write_bytes(b"x")
    for use in (lambda: store.session(token), lambda: store.uploaded(folder / "photo.png")):
        age(folder, 1.1)
        use()
        assert store.sweep() == 0


def test_what_work_goes_on_in_is_kept(store):
    folder = store.session(store.new_token())
    with store.in_use(folder):
        age(folder, 30)
        assert store.sweep() == 0
    assert store.sweep() == 0  # its last use was just now
    age(folder, 1.1)
    assert store.sweep() == 1


def test_an_unfinished_video_is_kept_for_days(store, tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"clip")
    folder = store.video(tmp_path / "clip.mp4", "2x")
    (folder / ".out.mp4.fastsr-work").mkdir()
    age(folder, 30)
    assert store.sweep() == 0
    age(folder, UNFINISHED_DAYS * 24 + 1)
    assert store.sweep() == 1


def test_a_video_is_found_again_by_content_and_wish(store, tmp_path):
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    first = store.video(tmp_path / "a", "2x")
    again = Store(tmp_path / "web", keep_hours=1)
    assert again.video(tmp_path / "b", "2x") == first
    assert again.page_secret == store.page_secret
    others = {again.video(tmp_path / "a", "4x"), again.video(tmp_path / "c", "2x")}
    assert len(others | {first}) == 3
    elsewhere = Store(tmp_path / "other", keep_hours=1)
    assert elsewhere.video(tmp_path / "a", "2x").name != first.name  # nobody guesses it without the secret


@pytest.mark.parametrize("token", [None, "", "../secret", "a" * 42, "a" * 43 + "/", 5])
def test_a_token_is_no_path(store, token):
    with pytest.raises(FastsrError, match="reload the page"):
        store.session(token)


def test_only_files_in_a_folder_of_the_store_are_uploads(store, tmp_path):
    folder = store.session(store.new_token())
    (folder / "photo.png").write_bytes(b"x")
    assert store.uploaded(folder / "photo.png") == folder / "photo.png"
    (folder / "link").symlink_to(tmp_path / "web" / "secret")
    for path in (folder / "link", folder, folder / "none", store.files / ".." / "secret", "/etc/passwd", "\0"):
        with pytest.raises(FastsrError, match="upload it again"):
            store.uploaded(path)


def test_the_folder_is_its_owners_alone(store):
    assert store.folder.stat().st_mode & 0o077 == 0
    assert (store.folder / "secret").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("photo.jpg", "photo.jpg"),
        ("../../etc/passwd", "passwd"),
        ("a\r\nb: c.png", "a_b_ c.png"),
        ("Grüße (1).jpg", "Grüße (1).jpg"),
        ("", "file"),
        ("..", "file"),
        (".png", "png"),
        ("x" * 300 + ".jpeg", "x" * 100 + ".jpeg"),
    ],
)
def test_safe_names(given, name):
    assert safe_name(given) == name
