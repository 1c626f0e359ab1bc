"""Paths from users, and files that are whole or not there at all."""

import errno
import os

import pytest

from gym_hil import files
from gym_hil.errors import ConfigurationError
from gym_hil.files import atomic_write, expand_path, write_advice, writing


def test_a_home_directory_is_expanded(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert expand_path("~/data") == tmp_path / "data"
    assert expand_path(tmp_path / "a~b") == tmp_path / "a~b"


def test_an_unknown_home_directory_is_an_error():
    with pytest.raises(ConfigurationError, match="set HOME"):
        expand_path("~no_such_user/data")


@pytest.mark.parametrize("content", ["text \u7acb", b"\x00\xff", lambda file: file.write(b"\x00\xff")])
def test_a_file_is_replaced_as_a_whole(tmp_path, content):
    path = tmp_path / "file"
    path.write_text("old")
    atomic_write(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else b"\x00\xff")
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(file):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        atomic_write(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_a_link_points_to_is_not_written(tmp_path):
    blob, link = tmp_path / "blob", tmp_path / "link"
    blob.write_text("shared")
    link.symlink_to(blob)
    atomic_write(link, "new")
    assert (blob.read_text(), link.read_text()) == ("shared", "new")


def test_the_unfinished_file_lies_in_the_staging_folder(tmp_path, monkeypatch):
    (tmp_path / "staging").mkdir()
    monkeypatch.setattr(files.os, "replace", lambda part, path: seen.append(part.parent) or os.rename(part, path))
    seen = []
    atomic_write(tmp_path / "file", "text", staging=tmp_path / "staging")
    assert seen == [tmp_path / "staging"]
    assert (tmp_path / "file").read_text() == "text"


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (OSError(errno.ENOSPC, ""), "Make room"),
        (MemoryError(), "Make room"),
        (OSError(errno.EACCES, ""), "right to write"),
        (OSError(errno.EROFS, ""), "right to write"),
        (OSError(errno.ENOENT, ""), "is missing"),
        (UnicodeEncodeError("latin-1", "\u7acb", 0, 1, ""), "PYTHONUTF8=1"),
        (OSError(errno.EIO, ""), "another folder"),
    ],
)
def test_advice_fits_the_fault(error, advice):
    assert advice in write_advice(error)


def test_text_that_is_no_text_is_not_blamed_on_the_file(tmp_path):
    with pytest.raises(UnicodeDecodeError), writing(tmp_path, ConfigurationError):
        b"\xff".decode()
    with pytest.raises(ConfigurationError, match="choose another name"), writing(tmp_path, ConfigurationError):
        os.fsencode("\ud800")
