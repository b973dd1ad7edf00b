"""Find records that came behind the cursor, by counting ranges: only those that differ from what is known are read again.

A feed counts what follows any cursor, and so can the warehouse. Where the two counts of a range agree, nothing of it is asked for;
where they differ it is halved, down to about a page, and read. Counts hide a late record beside one that was removed; so this is
believed only where all records are accounted for in the end, and none is gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from psycopg2 import sql

from pdic import raw
from pdic.sources.rest.order import in_order, written_like
from pdic.sources.rest.page import sort_key
from pdic.warehouse import one

if TYPE_CHECKING:
    from pdic.contracts import Contract
    from pdic.sources.rest.page import Cursor
    from pdic.sources.rest.paging import Walk

FEW_PAGES: Final = 8
"""A feed of so few pages is read whole: counting would cost as many requests."""

WORTH_COUNTING: Final = 0.5
"""Where counting and reading ranges would cost more than this share of the whole feed's pages, the feed is read whole."""


@dataclass
class Late:
    """One search. `sample` is a cursor as the feed writes it."""

    walk: Walk
    sample: Cursor
    _requests: int = 0
    _budget: float = 0

    def search(self, whole: int) -> bool:
        """Land the pages of the ranges that differ, of a feed that counts `whole` records. False: read all of it instead."""
        pages = whole // self._page_size
        if pages <= FEW_PAGES:
            return False
        self._budget = pages * WORTH_COUNTING
        known = self._order()
        reply = self.walk.last_reply
        open_ranges = [(0, known, whole, self._count(known))]
        while open_ranges:
            first, last, after_first, after_last = open_ranges.pop()
            if after_first - after_last == last - first:
                continue
            if last - first <= self._page_size:
                if not self._read(first, last):
                    return False
                continue
            if self._requests >= self._budget:
                return False
            middle = (first + last) // 2
            after_middle = self._count(middle)
            open_ranges += [(first, middle, after_first, after_middle), (middle, last, after_middle, after_last)]
        self.walk.last_reply = reply
        return True

    def held(self) -> int:
        """How many living records the warehouse held before this load."""
        return self._ask(sql.SQL("select count(*) from known_order where _pdic_held"))

    def _order(self) -> int:
        """Number the known records, those of this batch included, in the order of the feed. Returns how many they are."""
        feed = self._contract.feed
        assert feed is not None
        names = list(dict.fromkeys([*self._contract.key, *(name for _, name in feed.cursor)]))
        columns = sql.SQL(", ").join(map(sql.Identifier, names))
        with self.walk.landing.connection as connection, connection.cursor() as cursor:
            cursor.execute(
                sql.SQL(
                    """
                    drop table if exists known_order;
                    create temporary table known_order as
                    with living as ({living})
                    select row_number() over (order by {order}) as _pdic_position, {columns}, _pdic_held
                    from (
                        select {columns}, true as _pdic_held from living as held
                        where not exists (select from {batch} as batch where {same_key})
                        union all
                        select {columns}, exists (select from living as held where {same_key}) from {batch} as batch
                    ) as known;
                    alter table known_order add primary key (_pdic_position);
                    analyze known_order
                    """
                ).format(
                    order=in_order(self._contract, "known"),
                    columns=columns,
                    living=raw.living(self._contract, names),
                    batch=self._batch,
                    same_key=self.walk.landing.same_key,
                )
            )
        return self._ask(sql.SQL("select count(*) from known_order"))

    def _count(self, position: int) -> int:
        """How many records the feed has after the known one at `position`."""
        self._requests += 1
        return self.walk.count(self._cursor(position))

    def _read(self, first: int, last: int) -> bool:
        """Land the pages from one known record to another. False where that costs too much."""
        end = sort_key(self._contract, self._cursor(last) or {})
        after = self._cursor(first)
        while self._requests < self._budget:
            self._requests += 1
            page = self.walk.page(after)
            if page is None or page.last is None or sort_key(self._contract, page.last) >= end:
                return True
            after = page.last
        return False

    def _cursor(self, position: int) -> Cursor | None:
        """The cursor after the known record at `position`, written as the feed does; None: from the beginning."""
        feed = self._contract.feed
        assert feed is not None
        if not position:
            return None
        with self.walk.landing.connection as connection, connection.cursor() as cursor:
            cursor.execute(
                sql.SQL("select {} from known_order where _pdic_position = {}").format(
                    sql.SQL(", ").join(sql.Identifier(name) for _, name in feed.cursor), sql.Literal(position)
                )
            )
            values = one(cursor)
        return {
            parameter: written_like(value, self.sample.get(parameter, ""))
            for (parameter, _), value in zip(feed.cursor, values, strict=True)
        }

    def _ask(self, query: sql.Composed | sql.SQL) -> int:
        with self.walk.landing.connection as connection, connection.cursor() as cursor:
            cursor.execute(query)
            return int(one(cursor)[0])

    @property
    def _contract(self) -> Contract:
        return self.walk.contract

    @property
    def _batch(self) -> sql.Identifier:
        return raw.batch_table(self._contract, self.walk.landing.batch_id)

    @property
    def _page_size(self) -> int:
        assert self._contract.feed is not None
        return self._contract.feed.page_size
