"""Names that the DAG files and the stack that runs them must agree on."""

from typing import Final

TIME_ZONE: Final = "Asia/Ho_Chi_Minh"
POOL: Final = "source_{sector}"
"""The pool that bounds how many tasks read from one sector's database at a time."""
POOL_SLOTS: Final = 2
