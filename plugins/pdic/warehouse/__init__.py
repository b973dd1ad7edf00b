"""The warehouse: its schemas, roles' rights and migrations, and how to connect to it.

`migrate` brings the database up to the newest migration; it is the only code that changes the warehouse's own structure.
Tables of datasets follow from contracts (`pdic.raw`), models from dbt.
"""

from pdic.warehouse.connect import (
    Connect,
    connect,
    connect_psycopg,
    mend_by,
    no_room,
    one,
    open_comparable,
    open_once,
    patiently,
    records,
    stop,
    transaction,
    unusable,
)
from pdic.warehouse.migrate import migrate

__all__ = [
    "Connect",
    "connect",
    "connect_psycopg",
    "mend_by",
    "migrate",
    "no_room",
    "one",
    "open_comparable",
    "open_once",
    "patiently",
    "records",
    "stop",
    "transaction",
    "unusable",
]
