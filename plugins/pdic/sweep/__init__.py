"""Compare a source's table with what the warehouse knows of it, and land only what differs.

    hashing     expressions that give a row the same number on both servers, and its key the same bucket
    known       the newest known version of each key, from raw and quarantine
    stream      rows from one server to the other
    difference  the statements that tell what came from what is known
    compare     checksums by bucket on both sides, then the rows of the buckets that differ, then their difference
    guard       how many keys may be gone before an operator has to look
    record      what each comparison found (`control.reconciliation`)
    capture     the whole as a capture: a batch table of changed rows and tombstones
    feeds       the same for a feed, whose pages are all read

A load of a snapshot and a reconcile are this same thing; they differ in who asks and when.
"""

from pdic.sweep.capture import difference as capture_difference
from pdic.sweep.capture import snapshot as capture_snapshot
from pdic.sweep.capture import whole as capture_whole
from pdic.sweep.feeds import feed as capture_feed
from pdic.sweep.guard import Approval, SweepHeld
from pdic.sweep.record import healed_by, newest, newest_of_all, of_batch, waiting

__all__ = [
    "Approval",
    "SweepHeld",
    "capture_difference",
    "capture_feed",
    "capture_snapshot",
    "capture_whole",
    "healed_by",
    "newest",
    "newest_of_all",
    "of_batch",
    "waiting",
]
