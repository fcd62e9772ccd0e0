"""Folders that results are written into, whether of images or of videos."""

import pytest

from fastsr.cli.folders import check_folder, made_folder
from fastsr.errors import FastsrError


def test_a_file_in_place_of_a_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FastsrError, match="file is not a folder; choose another output") as caught:
        check_folder(tmp_path / "file" / "below")
    assert type(caught.value) is FastsrError  # neither an image nor a video is at fault


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(FastsrError, match="cannot make this folder") as caught,
        made_folder(tmp_path / "file" / "below"),
    ):
        pytest.fail("there is no such folder")
    assert type(caught.value) is FastsrError
