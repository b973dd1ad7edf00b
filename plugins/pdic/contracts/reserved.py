"""Names of columns that PDIC or PostgreSQL keeps for itself, and what a source's column of such a name is called in raw.

Beside a source's columns, raw and the queries over it have columns of their own. All of them are of this list: whoever needs
another gives it a name that begins with `_pdic_`. A column of a source may be called like one all the same; raw, its rules and
its models then know it by :func:`raw_names`. Columns of the warehouse's own names are in snake_case and never begin with `_`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

PREFIX: Final = "_pdic_"
OF_PDIC: Final = frozenset({"_batch_id", "_op", "_reasons", "_quarantined_at", "_held", "_agency", "_repaired", "_row"})
OF_POSTGRESQL: Final = frozenset({"tableoid", "ctid", "xmin", "xmax", "cmin", "cmax"})
"""Columns that every table has; a view may give such a name to one of its own."""
_KEYWORDS: Final = """
    all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation column
    concurrently constraint create cross current_catalog current_date current_role current_schema current_time
    current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze from
    full grant group having ilike in initially inner intersect into is isnull join lateral leading left like limit localtime
    localtimestamp natural not notnull null offset on only or order outer overlaps placing primary references returning right
    select session_user similar some symmetric system_user table tablesample then to trailing true union unique user using
    variadic verbose when where window with
"""
KEYWORDS: Final = frozenset(_KEYWORDS.split())
"""Words that PostgreSQL keeps for itself (`pg_get_keywords()`, categories R and T): as a column's name each needs quotes, and some
mean something else without them, like `system_user`."""
_BETTER_QUOTED: Final = """
    between bigint bit boolean char character coalesce dec decimal exists extract float greatest grouping inout int integer
    interval json json_array json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize
    json_table json_value least merge_action national nchar none normalize nullif numeric out overlay position precision real
    row setof smallint substring time timestamp treat trim values varchar xmlattributes xmlconcat xmlelement xmlexists
    xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable
"""
BETTER_QUOTED: Final = frozenset(_BETTER_QUOTED.split())
"""Words that may be a column's name, but not everywhere without quotes (category C)."""
MOST_COLUMNS: Final = 1590
"""A table of PostgreSQL has 1,600 columns at most, and staging adds its own."""
_BYTES: Final = 63


def is_reserved(name: str) -> bool:
    """Whether raw cannot have a column of a source under this name."""
    return name in OF_PDIC or name in OF_POSTGRESQL or name.startswith(PREFIX)


def raw_names(names: Sequence[str]) -> dict[str, str]:
    """Of a table's columns: the name of each in raw, in the same order. Only a reserved name becomes another.

    `_op` becomes `source_op`, with a number where the table has a column of that name.
    """
    taken = {name for name in names if not is_reserved(name)}
    found = {}
    for name in names:
        free = name
        if is_reserved(name):
            wanted = f"source_{name.removeprefix('_')}".encode()[: _BYTES - 3].decode(errors="ignore")
            free, number = wanted, 1
            while free in taken:
                number += 1
                free = f"{wanted}_{number}"
            taken.add(free)
        found[name] = free
    return found
