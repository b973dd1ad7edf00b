"""Bring dbt's seeds (reference lists) into the warehouse by COPY.

`dbt seed` writes the same tables row by row through Python, at a hundred times the cost: docs/decisions/0008. dbt's models refer to
them as to any seed.
"""

from __future__ import annotations

from pathlib import Path

import psycopg2
import yaml
from psycopg2 import sql

from pdic.errors import ReleaseError
from pdic.warehouse import transaction

SCHEMA = "staging"


def load_seeds(transformer_uri: str, folder: Path) -> dict[str, int]:
    """Replace every seed's table by its CSV file, all in one transaction. Returns rows per seed.

    Columns take the types that the seed's YAML gives (text where it gives none); an empty field is NULL.
    """
    types = _column_types(folder)
    rows = {}
    with transaction(transformer_uri, "seeds") as connection, connection.cursor() as cursor:
        cursor.execute("set local client_min_messages = warning")
        for path in sorted(folder.glob("*.csv")):
            table = sql.Identifier(SCHEMA, path.stem)
            with path.open(encoding="utf-8") as file:
                header = file.readline().strip().split(",")
                columns = sql.SQL(", ").join(
                    sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(types.get(path.stem, {}).get(name, "text")))
                    for name in header
                )
                cursor.execute(sql.SQL("drop table if exists {0}; create table {0} ({1})").format(table, columns))
                names = sql.SQL(", ").join(map(sql.Identifier, header))
                try:
                    cursor.copy_expert(sql.SQL("copy {} ({}) from stdin (format csv)").format(table, names), file)
                except (psycopg2.DataError, psycopg2.ProgrammingError) as error:
                    first = str(error).splitlines()[0]
                    raise ReleaseError(f"{path}: {first}. Mend the file, or its column_types in {folder}.") from error
                rows[path.stem] = cursor.rowcount
            cursor.execute(sql.SQL("analyze {}").format(table))
    return rows


def _column_types(folder: Path) -> dict[str, dict[str, str]]:
    """Seed → column → type, from the `config: column_types` of the folder's YAML files."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted(folder.glob("*.yml")):
        for seed in (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("seeds", []):
            found[seed["name"]] = dict(seed.get("config", {}).get("column_types", {}))
    return found
