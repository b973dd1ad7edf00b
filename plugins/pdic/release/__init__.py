"""A release: one consistent version of all shared tables.

    open_release   pin the newest accepted batch of every dataset
    conform        dbt builds the slot that no reader sees; in between, people get their keys (`pdic.identity`)
    audit          every rule of every published table, in that slot; and how it differs from the live one: too much holds it
    publish        one row says that it is live

    rollback       the former release is live again, and none is published until `resume`
    verify         what readers see is what was published, and the ledger is whole

Each step may be repeated, and each is fenced by the release's id: an old retry cannot publish over a newer release.
"""

from pdic.release.building import conform
from pdic.release.going_back import resume, rollback
from pdic.release.opening import is_current, open_release
from pdic.release.publishing import approve, publish
from pdic.release.settling import settle
from pdic.release.steps import Progress, audit, release
from pdic.release.turn import overtaken_by
from pdic.release.verify import verify

__all__ = [
    "Progress",
    "approve",
    "audit",
    "conform",
    "is_current",
    "open_release",
    "overtaken_by",
    "publish",
    "release",
    "resume",
    "rollback",
    "settle",
    "verify",
]
