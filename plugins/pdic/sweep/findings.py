"""What a comparison of a source with the warehouse found, in counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Findings:
    """Counts of one comparison.

    ``source_rows`` are the rows at the source, ``known_rows`` the keys that the warehouse knew as living before it.
    ``late`` rows were missing, ``changed`` ones known otherwise, ``deleted`` keys known though gone (ghosts). ``news`` are
    missing or changed rows that the next load would have brought by itself: stamped since the last one, and counted in
    neither of the others. ``buckets`` were compared (0: all rows were), ``buckets_differing`` looked into;
    ``rows_fetched`` crossed the wire.
    """

    source_rows: int
    known_rows: int
    late: int
    changed: int
    news: int
    deleted: int
    buckets: int
    buckets_differing: int
    rows_fetched: int

    @property
    def landed(self) -> int:
        """Rows of the source that differ from what was known."""
        return self.late + self.changed + self.news

    @property
    def deleted_share(self) -> float:
        """The share (0 to 1) of the known keys that are gone."""
        return self.deleted / self.known_rows if self.known_rows else 0.0
