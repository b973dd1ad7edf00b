"""Names that the DAG files, the stack that runs them and others' DAGs must agree on."""

from typing import Final

TIME_ZONE: Final = "Asia/Ho_Chi_Minh"
POOL: Final = "source_{sector}"
"""The pool that bounds how many tasks read from one sector's database at a time."""
POOL_SLOTS: Final = 2

WAREHOUSE: Final = "postgres://warehouse:5432/warehouse"
"""How the addresses of assets begin, wherever the warehouse really answers."""


def of_sector(sector: str) -> tuple[str, str]:
    """Name and address of the asset that says that any dataset of a sector has news."""
    return f"raw.{sector}", f"{WAREHOUSE}/raw/{sector}"


def of_dataset(sector: str, dataset: str) -> tuple[str, str]:
    """Name and address of the asset that says that a dataset has news: its table in schema raw."""
    return f"raw.{sector}.{dataset}", f"{WAREHOUSE}/raw/{sector}__{dataset}"


def of_shared(table: str) -> tuple[str, str]:
    """Name and address of the asset that says that a release shows a shared table anew."""
    return f"shared.{table}", f"{WAREHOUSE}/shared/{table}"
