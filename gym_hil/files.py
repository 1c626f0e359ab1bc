"""Paths that come from users, and files that are whole or not there at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any

from gym_hil.errors import ConfigurationError, GymHilError


def expand_path(path: str | PathLike[str]) -> Path:
    """A path of a user with a leading `~` expanded; a ConfigurationError if there is no such home directory."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigurationError(
            f"{os.fspath(path)!r} cannot be expanded: {error} Give the whole path, or set HOME."
        ) from None


def user_config_dir() -> Path:
    """The folder for this user's own files, such as the console's certificate; not created here.

    A ConfigurationError if this user has no home directory, as a container's user without an entry in passwd.
    """
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or _home("APPDATA") / "AppData" / "Roaming") / "gym-hil"
    if sys.platform == "darwin":
        return _home("HOME") / "Library" / "Application Support" / "gym-hil"
    return Path(os.environ.get("XDG_CONFIG_HOME") or _home("XDG_CONFIG_HOME or HOME") / ".config") / "gym-hil"


def atomic_write(
    path: str | PathLike[str],
    content: bytes | str | Callable[[Any], object],
    *,
    staging: str | PathLike[str] | None = None,
) -> None:
    """Write a file so that after a crash at any moment the old content or the new one is there, whole.

    Args:
        path: where; the folder exists. A symbolic link is replaced, its target stays as it is.
        content: bytes, text (as UTF-8), or a function that writes to the binary file it is given.
        staging: folder on the same file system for the unfinished file; that of `path` if None.

    Raises:
        OSError: the disk is full, or the folder cannot be written to. What was there before still is.
    """
    path = Path(path)
    part = Path(staging or path.parent) / f".{path.name}.{secrets.token_hex(4)}"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        os.unlink(part)
        raise
    sync_dir(path.parent)


def write_advice(error: Exception) -> str:
    """What to do about a file or folder that could not be written, in a sentence."""
    number = getattr(error, "errno", None)
    if isinstance(error, UnicodeError):
        return f"File names are {sys.getfilesystemencoding()} here: choose another name, or set PYTHONUTF8=1."
    if number in (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", None)) or isinstance(error, MemoryError):
        return "Make room."
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "Give yourself the right to write there, or choose another folder."
    if number in (errno.ENOENT, errno.ESTALE if hasattr(errno, "ESTALE") else None):
        return "A folder on this path is missing; was it moved or deleted?"
    return "Choose another folder."


@contextlib.contextmanager
def writing(what: object, error: type[GymHilError], rest: str = "") -> Iterator[None]:
    """A block that writes files: an error says what the system refuses, why, what to do, and then the rest.

    That a path cannot be encoded for the file system counts as refused. A block encodes no text, and decodes none.
    """
    try:
        yield
    except (OSError, UnicodeEncodeError) as problem:
        raise error(f"{what} cannot be written: {problem}. {write_advice(problem)} {rest}".rstrip()) from problem


def sync_dir(folder: str | PathLike[str]) -> None:
    """Have a folder's names on the disk, where the system can promise that."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _home(variable: str) -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise ConfigurationError(f"{error} Set {variable} to a folder that this user can write to.") from None
