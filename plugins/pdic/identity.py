"""Who is who: give every founding mention its citizen key.

dbt decides which mention founds which person (`vault.person_mention.founding_mention`: a valid số định danh, or the row
itself). Here that text becomes a key: HMAC-SHA256 under a secret that SQL and logs never see. The same mention gives the
same key under the same secret, so two builds from the same sources can be compared; without the secret it means nothing.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from pdic.warehouse import connect_psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY_BYTES = 16
LETTERS = bytes.maketrans(b"0123456789abcdef", b"abcdefghijklmnop")
CHUNK = 20_000


def citizen_key(secret: bytes, founding_mention: str) -> str:
    """The key of the person whom a mention founds: 128 bits as 32 letters a to p.

    Letters only, so that no key can be mistaken for an identifier of twelve digits.
    """
    digest = hmac.new(secret, founding_mention.encode(), hashlib.sha256).digest()[:KEY_BYTES]
    return digest.hex().encode().translate(LETTERS).decode()


def found_citizens(transformer_uri: str, secret: bytes) -> int:
    """Fill `vault.citizen_founder` for the founding mentions that have no key yet. Returns how many were new.

    Reads in chunks through a server-side cursor and writes by COPY in one transaction: constant memory, safe to repeat.
    """
    with connect_psycopg(transformer_uri, "identity") as connection:
        if connection.execute("select to_regclass('vault.person_mention') is null").fetchone() == (True,):
            return 0  # a project whose sectors speak of no people
        with connection.cursor() as cursor:
            cursor.execute("create temporary table fresh (founding_mention text, citizen_key text) on commit drop")
        with connection.cursor(name="mentions") as mentions, connection.cursor() as cursor:
            mentions.itersize = CHUNK
            mentions.execute(
                """
                select distinct mention.founding_mention
                from vault.person_mention as mention
                left join vault.citizen_founder as founder using (founding_mention)
                where
                    founder.founding_mention is null
                    and mention.founding_mention is not null
                    -- Older mentions were founded by the build that brought them.
                    and mention._release_id > coalesce(
                        (select max(release_id) from control.release where status in ('built', 'audited', 'held', 'ready', 'published')), 0
                    )
                """
            )
            while chunk := mentions.fetchmany(CHUNK):
                # The server reads one command at a time, so each chunk is copied between two fetches.
                with cursor.copy("copy fresh from stdin") as copy:
                    for row in _with_keys(secret, chunk):
                        copy.write_row(row)
        with connection.cursor() as cursor:
            cursor.execute("insert into vault.citizen_founder select * from fresh on conflict do nothing")
            return cursor.rowcount


def _with_keys(secret: bytes, chunk: list[tuple[str]]) -> Iterator[tuple[str, str]]:
    for (mention,) in chunk:
        yield mention, citizen_key(secret, mention)
