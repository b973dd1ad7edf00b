"""Letting one account pass through a folder, and nobody else."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pdic import reach


@pytest.fixture
def closed() -> Iterator[Path]:
    """A folder of mode 0700 on a file system that has access control lists."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o700)
        try:
            reach._grant_passing(path, 4402)
            os.removexattr(path, reach._ACL)
        except OSError as error:
            if error.errno == errno.ENOTSUP:
                pytest.skip("no access control lists here")
            raise
        path.chmod(0o700)
        yield path


def entries(path: Path) -> dict[tuple[int, int], int]:
    raw = os.getxattr(path, reach._ACL)
    return {(tag, ident): rights for tag, rights, ident in reach._ENTRY.iter_unpack(raw[reach._VERSION.size :])}


def test_one_account_may_pass_and_nothing_else_changes(closed: Path) -> None:
    reach._grant_passing(closed, 4402)
    assert entries(closed) == {
        (reach._USER_OBJ, reach._NO_ID): 7,
        (reach._USER, 4402): 1,
        (reach._GROUP_OBJ, reach._NO_ID): 0,
        (reach._MASK, reach._NO_ID): 1,
        (reach._OTHER, reach._NO_ID): 0,
    }
    assert stat.S_IMODE(closed.stat().st_mode) & 0o007 == 0


def test_granting_again_or_to_another_keeps_what_was_granted(closed: Path) -> None:
    for account in (4402, 4403, 4402):
        reach._grant_passing(closed, account)
    granted = {ident: rights for (tag, ident), rights in entries(closed).items() if tag == reach._USER}
    assert granted == {4402: 1, 4403: 1}


def test_a_group_keeps_exactly_what_it_had(closed: Path) -> None:
    closed.chmod(0o750)
    reach._grant_passing(closed, 4402)
    assert entries(closed)[reach._GROUP_OBJ, reach._NO_ID] == 5
    # A chmod afterwards caps all named entries at once, which takes the right away: granting again brings back only ours.
    closed.chmod(0o700)
    reach._grant_passing(closed, 4402)
    assert entries(closed)[reach._GROUP_OBJ, reach._NO_ID] == 0
    assert entries(closed)[reach._USER, 4402] == 1
