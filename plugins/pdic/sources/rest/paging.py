"""From the first page to the last, by keyset, until what came and what the feed counts agree."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pdic.errors import SourceUnavailable
from pdic.sources.rest.late import Late
from pdic.sources.rest.page import Cursor, Page, read_page
from pdic.sources.rest.reply import Reply

if TYPE_CHECKING:
    from pdic.contracts import Contract
    from pdic.sources.rest.landing import Landing
    from pdic.sources.rest.session import Session

ROUNDS: Final = 6
"""How often a feed is counted again before it is given up; each time pages go on, or begin again, in between."""

VALIDATORS: Final = {"etag": "If-None-Match", "modified": "If-Modified-Since"}
"""What a reply says of its state, the exacter first, and the header that asks whether it still holds."""


@dataclass(slots=True)
class Walk:
    """One load's way through a feed. ``start`` is where it begins, ``last`` the cursor after the newest page.

    ``gone``: how many known records it found missing at the service.
    """

    contract: Contract
    session: Session
    landing: Landing
    start: Cursor | None
    last: Cursor | None = None
    last_reply: Reply | None = None
    unknown: set[str] = field(default_factory=set)
    gone: int = 0

    def page(self, after: Cursor | None, validators: dict[str, str] | None = None) -> Page | None:
        """Ask for the page after a cursor, land it, then read it. None where the feed says that nothing changed."""

        def land_and_read(reply: Reply) -> Page | None:
            self.last_reply = reply
            if reply.unchanged and validators:
                return None
            number = self.landing.land(reply, after)
            page = read_page(self.contract, reply, after)
            self.landing.admit(number, page)
            return page

        page: Page | None = self.session.get(self.contract.table, self._parameters(after), land_and_read, validators)
        if page is not None:
            self.unknown |= page.unknown
        return page

    def to_the_end(self, first: Page | None = None) -> int:
        """Page on from ``last`` until a page has no records (`first`: the page that is there already). Returns how many came."""
        came = 0
        page = first if first is not None else self.page(self.last)
        while page is not None and page.last is not None:
            came += page.records
            self.last = page.last
            page = self.page(self.last)
        return came

    def count(self, after: Cursor | None) -> int:
        """How many records the feed has after a cursor now; None: at all."""
        return count(self.contract, self.session, after)

    def settle(self, first: Page | None, held: int, sample: Cursor | None = None) -> tuple[int, int]:
        """Walk until the batch holds every record that the feed has. Returns (rows of the batch, records of the feed).

        `held` is how many keys the warehouse knew before, `sample` a whole cursor as the feed wrote it. What the feed counts
        after ``start`` must be what the batch holds, and what it counts at all what the warehouse then knows; else the walk
        pages on, then begins anew. Where records lie before ``start`` that never came, the ranges that hold them are
        read, or everything from the very beginning. Raises SourceUnavailable where they do not come to agree.
        """
        came = self.to_the_end(first)
        counted = rows = 0
        late: Late | None = None
        for _ in range(ROUNDS):
            rows = self.landing.make_batch()
            counted = self.count(self.start)
            if counted == (rows if late is None or self.start is None else self.landing.count_after(self.start)):
                if self.start is None:
                    self.gone = self.landing.count_gone()
                    return rows, counted
                whole = self.count(None)
                if whole == (held if late is None else late.held()) + self.landing.count_new_keys():
                    return rows, whole
                if not came:
                    late = Late(self, sample) if late is None and sample else None
                    if late is None or not late.search(whole):
                        late, self.start, self.last = None, None, None
            elif not came:
                self.last = self.start
            came = self.to_the_end()
        raise SourceUnavailable(
            f"{self.contract.id}: {self.session.endpoint.host} counts {counted} records and gave {rows} different ones, "
            f"after {ROUNDS} attempts to make them agree. Nothing was accepted; load it again when the feed is quiet, or ask "
            f"{self.contract.owner_agency} whether it drops or hides records."
        )

    def _parameters(self, after: Cursor | None) -> dict[str, str]:
        return parameters(self.contract, after)


def parameters(contract: Contract, after: Cursor | None, size: int | None = None) -> dict[str, str]:
    """The query of one request: the page size and the cursor."""
    assert contract.feed is not None
    return {contract.feed.page_size_parameter: str(size or contract.feed.page_size), **(after or {})}


def count(contract: Contract, session: Session, after: Cursor | None) -> int:
    """How many records the feed says that it has after a cursor (None: at all)."""

    def total(reply: Reply) -> int:
        return read_page(contract, reply, after).total

    return int(session.get(contract.table, parameters(contract, after, size=1), total))


def validators_for(position: dict[str, Any], query: dict[str, str]) -> dict[str, str]:
    """Headers that ask only for news, where the last load ended with this very question; else none."""
    known = position.get("validators") or {}
    if known.get("of") != query:
        return {}
    return dict([(header, known[name]) for name, header in VALIDATORS.items() if known.get(name)][:1])
