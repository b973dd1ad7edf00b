"""Who lets a held release or batch go on, when and why: rows of `control.approval`, which nobody changes."""

from __future__ import annotations

import getpass
import os
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from psycopg2 import sql

from pdic.errors import PdicError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection


MOST_WORDS: Final = 500
"""So many characters of a reason are kept: notes and status show it."""


@dataclass(frozen=True)
class Approval:
    """A person's consent: the account that ran the command, who decided by their own word, and why."""

    os_user: str
    said_by: str
    reason: str


def person() -> str:
    """The account of the operating system that runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's account without a name
        return f"uid {os.getuid()}"


def words(text: str) -> str:
    """What a person wrote, as one line: white space is one blank, and what nobody sees on a screen is left out.

    Raises PdicError where nothing is left, or more than `MOST_WORDS` characters.
    """
    seen = (letter for letter in text if letter.isspace() or unicodedata.category(letter)[0] != "C")
    found = " ".join("".join(seen).split())
    if not found:
        raise PdicError("no reason is given: say why with --reason WHY in a few words")
    if len(found) > MOST_WORDS:
        raise PdicError(f"a reason has {len(found):,} characters, and {MOST_WORDS} are kept: say it in fewer words")
    return found


def given(reason: str, by: str | None = None) -> Approval:
    """The consent of who runs this process, or of `by` on whose behalf. Raises PdicError without a reason."""
    account = person()
    return Approval(account, words(by) if by else account, words(reason))


def record(
    connection: Connection, of: Literal["release_id", "batch_id"], number: int, approval: Approval, findings: str
) -> None:
    """Keep the consent to publish a release or to accept a batch, with what had held it. The caller commits.

    Each role may write the numbers of its own kind only.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                "insert into control.approval ({}, os_user, said_by, reason, findings) values (%s, %s, %s, %s, %s)"
            ).format(sql.Identifier(of)),
            (number, approval.os_user, approval.said_by, approval.reason, findings),
        )
