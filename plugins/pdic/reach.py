"""PostgreSQL refuses to run as root. Where PDIC runs as root, the server runs as an unprivileged user, who must reach its files.

A checkout under /root, or under a folder made with mode 0700, is out of that user's reach. PDIC then gives that one user, and
nobody else, the right to pass through (an ACL entry `u:<user>:--x` on each closed folder above); where the file system has no
ACLs, it opens the folder to passing, not listing (`chmod o+x`). Either is logged.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import pwd
import shutil
import stat
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pdic.errors import PdicError

ACCOUNT = "pgserver"
_log = logging.getLogger(__name__)

# The kernel's form of an access control list: a version, then (tag, permissions, id) each (linux/posix_acl_xattr.h).
_ACL, _VERSION, _ENTRY, _NO_ID = "system.posix_acl_access", struct.Struct("<I"), struct.Struct("<HHI"), 0xFFFFFFFF
_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20


@dataclass(frozen=True)
class Runner:
    """Who runs the server: None for the current user, else an unprivileged account."""

    account: pwd.struct_passwd | None

    def popen(self) -> dict[str, Any]:
        """What to add to subprocess calls so that they run as this account, in a folder it can be in."""
        as_account: dict[str, Any] = {"cwd": "/", "umask": 0o077}
        if self.account is not None:
            as_account |= {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}
        return as_account

    def own(self, path: Path) -> None:
        """Gives a file or folder (not what is in it) to this account. Raises PdicError where the file system forbids it."""
        if self.account is not None:
            try:
                os.chown(path, self.account.pw_uid, self.account.pw_gid)
            except PermissionError:
                raise PdicError(
                    f"PostgreSQL runs as user {self.account.pw_name}, but {path} cannot be given to that user here: "
                    "set PDIC_HOME to a folder on a local disk, or run as an ordinary user"
                ) from None

    def let_through(self, path: Path) -> None:
        """Makes every folder above `path` passable for this account. Raises PdicError where that cannot be done."""
        if self.account is not None:
            for folder in reversed(path.resolve().parents):
                if not self._can(folder, "-x"):
                    self._open(folder)

    def let_read(self, tree: Path) -> None:
        """Makes a program's files, which hold nothing private, readable for everyone where a strict umask closed them."""
        if self.account is None:
            return
        for path in (tree, *tree.rglob("*")):
            mode = path.stat().st_mode
            wanted = mode | (0o055 if path.is_dir() or mode & stat.S_IXUSR else 0o044)
            if wanted != mode:
                path.chmod(wanted)

    def _can(self, path: Path, what: str) -> bool:
        tested = subprocess.run(["/bin/sh", "-c", f'test {what} "$1"', "sh", str(path)], check=False, **self.popen())
        return tested.returncode == 0

    def _open(self, folder: Path) -> None:
        assert self.account is not None
        try:
            _grant_passing(folder, self.account.pw_uid)
            how = f"an ACL entry for {self.account.pw_name}"
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EPERM, errno.EACCES, errno.EINVAL):
                raise
            with contextlib.suppress(OSError):
                folder.chmod(folder.stat().st_mode | stat.S_IXOTH)
            how = "chmod o+x"
        if not self._can(folder, "-x"):
            raise PdicError(
                f"PostgreSQL runs as user {self.account.pw_name}, who cannot pass through {folder}: "
                f"run `chmod o+x {folder}`, or set PDIC_HOME to a folder outside it, or run as an ordinary user"
            )
        _log.warning(
            "user %s may now pass through %s (by %s): the embedded PostgreSQL lives below it",
            self.account.pw_name,
            folder,
            how,
        )


def runner() -> Runner:
    """The current user, or, for root, the account `pgserver`, made where it is missing. Raises PdicError where that fails."""
    if os.geteuid() != 0:
        return Runner(None)
    with contextlib.suppress(KeyError):
        return Runner(pwd.getpwnam(ACCOUNT))
    problem = "there is no useradd"
    if useradd := shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"):
        made = subprocess.run(
            [
                useradd,
                "--system",
                "--user-group",
                "--no-create-home",
                "--home-dir",
                "/nonexistent",
                "--shell",
                "/bin/false",
                ACCOUNT,
            ],
            check=False,
            capture_output=True,
            text=True,
        )
        problem = made.stderr.strip()
    try:
        return Runner(pwd.getpwnam(ACCOUNT))
    except KeyError:
        raise PdicError(
            f"PostgreSQL cannot run as root and the account {ACCOUNT} could not be made ({problem}): "
            f"create it, or run as an ordinary user"
        ) from None


def _grant_passing(folder: Path, uid: int) -> None:
    """Adds `u:<uid>:--x` to the folder's access control list (Linux). Raises OSError where the file system has none."""
    if not hasattr(os, "setxattr"):
        raise OSError(errno.ENOTSUP, "no access control lists here")
    mode = folder.stat().st_mode
    try:
        raw = os.getxattr(folder, _ACL)
        entries = {(tag, ident): rights for tag, rights, ident in _ENTRY.iter_unpack(raw[_VERSION.size :])}
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise
        entries = {
            (_USER_OBJ, _NO_ID): mode >> 6 & 7,
            (_GROUP_OBJ, _NO_ID): mode >> 3 & 7,
            (_OTHER, _NO_ID): mode & 7,
        }
    entries[_USER, uid] = entries.get((_USER, uid), 0) | 1
    # The mask caps every named entry and the group's: the group keeps exactly what it had.
    capped = entries.get((_MASK, _NO_ID), 7)
    for key in entries:
        if key[0] in (_GROUP_OBJ, _GROUP) or (key[0] == _USER and key[1] != uid):
            entries[key] &= capped
    entries[_MASK, _NO_ID] = 1
    for (tag, _), rights in entries.items():
        if tag in (_USER, _GROUP_OBJ, _GROUP):
            entries[_MASK, _NO_ID] |= rights
    body = b"".join(_ENTRY.pack(tag, rights, ident) for (tag, ident), rights in sorted(entries.items()))
    os.setxattr(folder, _ACL, _VERSION.pack(2) + body)
