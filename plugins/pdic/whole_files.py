"""Files that others read are written whole: beside their place first, and then renamed. A kill leaves the old or the new, never half.

    written, write    one file
    write_together    several files of a project, all or none: a kill before they are agreed on leaves none of them, one after that
                      leaves some, and the next run brings the others (`finish`)

What a killed process leaves beside a file has always the same name (`.NAME.new`), so that it never piles up.

Nothing here imports more than the standard library and the errors.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pdic.errors import PdicError

BEGUN: Final = Path("contracts", ".writing.json")
"""Names the files of a change while they are written beside their places."""
AGREED: Final = Path("contracts", ".written.json")
"""The same list once all of them are there: from then on the change holds."""
_FORMER: Final = "contracts/*/.pdic-*"
"""What earlier versions left beside contracts when they were killed."""


@contextlib.contextmanager
def written(path: Path, text: str, mode: int = 0o600) -> Iterator[Path]:
    """A file beside `path` that holds `text` and is on the disk, to be renamed; nobody else has one there meanwhile."""
    with _locked(path.parent) as folder:
        beside = _beside(path)
        try:
            _put(beside, text, mode, synced=True)
            yield beside
            os.fsync(folder)
        finally:
            beside.unlink(missing_ok=True)


def write(path: Path, text: str, mode: int = 0o600) -> None:
    """Replaces `path` by `text` in one step."""
    with written(path, text, mode) as file:
        file.replace(path)


def write_together(root: Path, files: Mapping[Path, str]) -> None:
    """Make the files under `root` hold these texts, all of them or none. Folders that are missing are made."""
    if not files:
        return
    listed = root / BEGUN
    listed.parent.mkdir(parents=True, exist_ok=True)
    with _locked(listed.parent):
        _finish(root)
        try:
            _put(listed, json.dumps([path.as_posix() for path in files]), 0o644)
            for path, text in files.items():
                with _told(path, "Nothing was changed: mend that, then run the same command again"):
                    (root / path).parent.mkdir(parents=True, exist_ok=True)
                    _put(_beside(root / path), text, 0o644)
                    if (root / path).is_dir():
                        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            listed.rename(root / AGREED)
        except BaseException:  # a full disk, Ctrl-C: nothing is left for the next run, and the room is given back
            _take_back(root)
            raise
        _finish(root)


def finish(root: Path) -> None:
    """Bring a change of the project to its end that a killed process had agreed on, and take back one that it had only begun."""
    folder = root / BEGUN.parent
    if not folder.is_dir():
        return
    with _locked(folder):
        _finish(root)
        for path in root.glob(_FORMER):
            path.unlink(missing_ok=True)


def is_unfinished(path: Path) -> bool:
    """Is this what a process writes that is at work, or left when it was killed? It is nobody's mistake, and the next run clears it."""
    return path.name.startswith(".") and (path.name.endswith(".new") or path.name.startswith((".pdic-", ".writ")))


def _finish(root: Path) -> None:
    for path in _listed(root / AGREED):
        with (
            _told(
                path,
                "The other files of the change are written: mend that, then run `pdic contracts compile`, which ends it",
            ),
            contextlib.suppress(FileNotFoundError),  # it was renamed before the kill
        ):
            _beside(root / path).replace(root / path)
    (root / AGREED).unlink(missing_ok=True)
    _take_back(root)


@contextlib.contextmanager
def _told(path: Path | str, then: str) -> Iterator[None]:
    """Turns what the system says of a file that cannot be written into a sentence that names it."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise PdicError(f"{path} cannot be written ({error.strerror or type(error).__name__}). {then}") from error


def _take_back(root: Path) -> None:
    for path in _listed(root / BEGUN):
        with contextlib.suppress(NotADirectoryError):  # a file lies where its folder should be: so it was given up
            _beside(root / path).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # others have files there
            (root / path).parent.rmdir()
    (root / BEGUN).unlink(missing_ok=True)


def _listed(path: Path) -> list[str]:
    try:
        return list(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, json.JSONDecodeError):  # cut off itself: nothing was written beside a place yet
        return []


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def _put(path: Path, text: str, mode: int, *, synced: bool = False) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        if synced:
            os.fsync(descriptor)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Holds the lock of a folder against other processes; the kernel lets go when the holder dies."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)
