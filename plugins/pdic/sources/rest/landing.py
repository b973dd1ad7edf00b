"""Replies as they came, and the typed batch table that is made from them inside the warehouse."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import psycopg2
from psycopg2 import sql

from pdic import raw
from pdic.errors import LoadError
from pdic.feed import graves, is_held
from pdic.sources.rest.order import is_after
from pdic.sources.rest.page import Page, unusable
from pdic.sources.rest.reply import Reply
from pdic.warehouse import one

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Db

    from pdic.contracts import Contract
    from pdic.sources.rest.page import Cursor


class Landing:
    """The replies of one batch, in `landing.<sector>__<dataset>__<batch>`. Holds one page in memory, whatever the feed's size."""

    def __init__(self, connection: Connection, contract: Contract, batch_id: int) -> None:
        """Make the table; those of the dataset's other batches go, except of the batch accepted last."""
        assert contract.feed is not None
        self.connection = connection
        self._contract = contract
        self.batch_id = batch_id
        self._table = sql.Identifier("landing", raw.batch_name(contract, batch_id))
        self._digest = hashlib.sha256()
        self.pages = 0
        self.bytes = 0
        with connection, connection.cursor() as cursor:
            # A page lost in a crash of the server is asked for again; what the ledger says comes later and is waited for.
            cursor.execute("set synchronous_commit = off")
            self._drop_former(cursor)
            cursor.execute(
                sql.SQL(
                    """
                    create table {} (
                        page integer primary key,
                        after jsonb,
                        received_at timestamptz not null default clock_timestamp(),
                        digest text not null,
                        body bytea not null,
                        -- The body as text that PostgreSQL can read; null where the page was refused.
                        content text
                    )
                    """
                ).format(self._table)
            )

    @property
    def digest(self) -> str:
        """One digest of all replies, in the order they came."""
        return f"sha256:{self._digest.hexdigest()}"

    def land(self, reply: Reply, after: Cursor | None) -> int:
        """Keep a reply as it is, before anything is read from it. Returns its page's number."""
        self.pages += 1
        self.bytes += len(reply.body)
        digest = hashlib.sha256(reply.body)
        self._digest.update(digest.digest())
        with self.connection, self.connection.cursor() as cursor:
            cursor.execute(
                sql.SQL("insert into {} (page, after, digest, body) values (%s, %s, %s, %s)").format(self._table),
                (self.pages, json.dumps(after), digest.hexdigest(), psycopg2.Binary(reply.body)),
            )
        return self.pages

    def admit(self, number: int, page: Page) -> None:
        """Let a landed reply count as a page of the batch."""
        with self.connection, self.connection.cursor() as cursor:
            # A NUL in the text would have been written as an escape, which `text` has no more.
            cursor.execute(
                sql.SQL("update {} set content = %s where page = %s").format(self._table), (page.text, number)
            )
            for position, columns in page.unreadable.items():
                self._set_unreadable(cursor, number, position, columns)

    def make_batch(self) -> int:
        """Make the batch's table of the newest version of each key that landed. Returns its rows."""
        with self.connection, self.connection.cursor() as cursor:
            cursor.execute("savepoint typing")
            try:
                return self._fill(cursor)
            except psycopg2.DataError:
                cursor.execute("rollback to savepoint typing")
            self._find_unreadable(cursor)
            try:
                return self._fill(cursor)
            except psycopg2.DataError as error:  # its words could quote a value
                raise LoadError(
                    f"{self._contract.id}: batch {self.batch_id}: the records cannot be read as the contract's types "
                    f"(SQLSTATE {error.pgcode}). Nothing was accepted; the pages lie in the schema landing: report it."
                ) from None

    def name_unreadable(self) -> None:
        """Write down which key and version each unreadable record is, as the batch's table holds them."""
        feed = self._contract.feed
        assert feed is not None
        with self.connection, self.connection.cursor() as cursor:
            cursor.execute("select distinct page from landing.unreadable where batch_id = %s", (self.batch_id,))
            for (page,) in cursor.fetchall():
                cursor.execute(
                    sql.SQL(
                        """
                        update landing.unreadable as entry set key = array[{key}], version = {version}::text
                        from {records}
                        where entry.batch_id = {batch_id} and entry.page = page.page and entry.position = item.position
                        """
                    ).format(
                        key=raw.key_texts(self._contract, "typed"),
                        version=self._typed([feed.version]),
                        records=self._records(page),
                        batch_id=sql.Literal(self.batch_id),
                    )
                )

    def count_new_keys(self) -> int:
        """How many keys of the batch's table the warehouse does not hold, accepted or in quarantine, or knows to be gone."""
        contract = self._contract
        with self.connection, self.connection.cursor() as cursor:
            buried = graves(self.connection, contract)
            cursor.execute(
                sql.SQL("select count(*) from {batch} as batch where not ({accepted} or {quarantined})").format(
                    batch=raw.batch_table(contract, self.batch_id),
                    accepted=is_held(contract, raw.parent(contract), buried),
                    quarantined=is_held(contract, raw.quarantine(contract), buried),
                )
            )
            return int(one(cursor)[0])

    def count_gone(self) -> int:
        """How many records that the warehouse takes for living the batch's table, the whole feed, does not have."""
        contract = self._contract
        with self.connection, self.connection.cursor() as cursor:
            cursor.execute(
                sql.SQL(
                    "select count(*) from ({living}) as held where not exists (select from {batch} as batch where {same_key})"
                ).format(
                    living=raw.living(contract, contract.key),
                    batch=raw.batch_table(contract, self.batch_id),
                    same_key=self.same_key,
                )
            )
            return int(one(cursor)[0])

    def count_after(self, start: Cursor) -> int:
        """How many rows of the batch's table come after a cursor."""
        with self.connection, self.connection.cursor() as cursor:
            cursor.execute(
                sql.SQL("select count(*) from {} as batch where {}").format(
                    raw.batch_table(self._contract, self.batch_id), is_after(self._contract, start)
                )
            )
            return int(one(cursor)[0])

    def remarks(self) -> list[str]:
        """Which columns hold values that could not be read, and how often."""
        with self.connection, self.connection.cursor() as cursor:
            cursor.execute(
                """
                select name, count(*) from landing.unreadable, unnest(columns) as name
                where batch_id = %s group by name order by name
                """,
                (self.batch_id,),
            )
            return [f"{name}: {count} values are not of its type" for name, count in cursor.fetchall()]

    def _drop_former(self, cursor: Db) -> None:
        contract = self._contract
        cursor.execute(
            "select accepted_batch_id from control.dataset where sector = %s and dataset = %s",
            (contract.sector, contract.dataset),
        )
        (accepted,) = cursor.fetchone() or (None,)
        cursor.execute(
            "select tablename from pg_tables where schemaname = 'landing' and tablename ~ %s",
            (f"^{contract.raw_table}__[0-9]+$",),
        )
        former = [name for (name,) in cursor.fetchall()]
        keep = raw.batch_name(contract, accepted) if accepted is not None else None
        raw.drop_unheld(cursor, "landing", [name for name in former if name != keep])
        cursor.execute(
            """
            delete from landing.unreadable using control.batch
            where unreadable.batch_id = batch.batch_id and batch.status <> 'accepted'
                and batch.sector = %s and batch.dataset = %s
            """,
            (contract.sector, contract.dataset),
        )

    def _fill(self, cursor: Db) -> int:
        feed = self._contract.feed
        assert feed is not None
        batch = raw.batch_table(self._contract, self.batch_id)
        cursor.execute(sql.SQL("drop table if exists {}").format(batch))
        cursor.execute(raw.create_batch_table(self._contract, self.batch_id))
        key = self._typed(self._contract.key)
        version = self._typed([feed.version])
        cursor.execute(
            sql.SQL(
                """
                insert into {batch} ({columns})
                select distinct on ({key}) {typed}
                from {readable}
                order by {key}, {version} desc, page.page desc, item.position desc
                """
            ).format(
                batch=batch,
                columns=raw.columns(self._contract),
                typed=self._typed([column.source_name for column in self._contract.columns]),
                key=key,
                version=version,
                readable=self._records(),
            )
        )
        return int(cursor.rowcount)

    def _records(self, page: int | None = None) -> sql.Composed:
        """From-clause: every landed record as `typed`, without the values known to be unreadable."""
        feed = self._contract.feed
        assert feed is not None
        return sql.SQL(
            """
            (select page, content::jsonb #> {path} as records from {landing} where content is not null{only}) as page
            cross join lateral jsonb_array_elements(page.records) with ordinality as item (record, position)
            left join landing.unreadable as bad
                on bad.batch_id = {batch_id} and bad.page = page.page and bad.position = item.position
            cross join lateral jsonb_to_record(item.record - coalesce(bad.columns, '{{}}')) as typed ({types})
            """
        ).format(
            path=sql.Literal(list(feed.records)) + sql.SQL("::text[]"),
            landing=self._table,
            only=sql.SQL("") if page is None else sql.SQL(" and page = {}").format(sql.Literal(page)),
            batch_id=sql.Literal(self.batch_id),
            types=sql.SQL(", ").join(
                sql.SQL("{} {}").format(sql.Identifier(column.source_name), sql.SQL(column.physical_type))
                for column in self._contract.columns
            ),
        )

    def _find_unreadable(self, cursor: Db) -> None:
        """Look for the values that are not of their column's type: page by page, then record by record, then by column."""
        for number in range(1, self.pages + 1):
            if self._reads(cursor, sql.SQL("select count(*) from {}").format(self._records(number))):
                continue
            cursor.execute(
                sql.SQL("select jsonb_array_length(content::jsonb #> %s::text[]) from {} where page = %s").format(
                    self._table
                ),
                (list(self._contract.feed.records if self._contract.feed else ()), number),
            )
            for position in range(1, int(one(cursor)[0]) + 1):
                self._judge(cursor, number, position)

    def _judge(self, cursor: Db, number: int, position: int) -> None:
        feed = self._contract.feed
        assert feed is not None
        record = sql.SQL("(select content::jsonb #> {} -> {} from {} where page = {})").format(
            sql.Literal(list(feed.records)) + sql.SQL("::text[]"),
            sql.Literal(position - 1),
            self._table,
            sql.Literal(number),
        )
        bad = [
            column.source_name
            for column in self._contract.columns
            if not self._reads(
                cursor,
                sql.SQL("select count(*) from jsonb_to_record({}) as typed ({} {})").format(
                    record, sql.Identifier(column.source_name), sql.SQL(column.physical_type)
                ),
            )
        ]
        for name in (*self._contract.key, feed.event, feed.version, feed.time):
            if name in bad:
                raise unusable(self._contract, name, position, number)
        if bad:
            self._set_unreadable(cursor, number, position, bad)

    def _set_unreadable(self, cursor: Db, number: int, position: int, columns: Sequence[str]) -> None:
        feed = self._contract.feed
        assert feed is not None
        for name in (*self._contract.key, feed.event, feed.version, feed.time):
            if name in columns:
                raise unusable(self._contract, name, position, number)
        cursor.execute(
            sql.SQL(
                """
                insert into landing.unreadable (batch_id, page, position, columns, record, key, version)
                select {batch_id}, page, {position}, {columns}, content::jsonb #> {path} -> ({position} - 1), '{{}}', ''
                from {landing} where page = {page}
                on conflict (batch_id, page, position) do update
                set columns = array(select distinct unnest(unreadable.columns || excluded.columns) order by 1)
                """
            ).format(
                batch_id=sql.Literal(self.batch_id),
                position=sql.Literal(position),
                columns=sql.Literal(list(columns)) + sql.SQL("::text[]"),
                path=sql.Literal(list(feed.records)) + sql.SQL("::text[]"),
                landing=self._table,
                page=sql.Literal(number),
            )
        )

    def _reads(self, cursor: Db, query: sql.Composed) -> bool:
        cursor.execute("savepoint reading")
        try:
            cursor.execute(query)
        except psycopg2.DataError:
            cursor.execute("rollback to savepoint reading")
            return False
        cursor.execute("release savepoint reading")
        return True

    def _typed(self, names: Sequence[str]) -> sql.Composed:
        return sql.SQL(", ").join(sql.SQL("typed.{}").format(sql.Identifier(name)) for name in names)

    @property
    def same_key(self) -> sql.Composed:
        """A condition: a version `held` is of the same record as the row `batch`."""
        return raw.same_key(self._contract, "held", "batch")
