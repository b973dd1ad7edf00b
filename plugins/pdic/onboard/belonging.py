"""Which columns of a table are its own key by their names, and which seem to point to another table."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pdic.onboard.names import snake_case

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

OWN: Final = 0
PLAIN: Final = 1
FOREIGN: Final = 2

_ID_WORDS: Final = frozenset(
    {"id", "uuid", "guid", "ma", "code", "so", "no", "nr", "num", "number", "key", "pk", "row", "rowid", "oid"}
)
_KINDS_OF_TABLES: Final = frozenset(
    {"t", "tb", "tbl", "table", "v", "vw", "view", "mv", "dm", "dim", "fct", "fact", "bang"}
)
_RUN_TOGETHER: Final = re.compile(r"^(ma|so|id)(?=[a-z]{3})|(?<=[a-z]{2})(id|code|no|key)$")
"""What says in a name without separators that it is an id: `mahocsinh`, `customerid`."""


@dataclass(frozen=True, slots=True)
class Belonging:
    """What the names of a table's columns say, beside the names of the other tables of its database."""

    own: Collection[str]
    """What the table is about, as :func:`subject` writes it; of a view also the table that its name ends like."""
    references: Collection[str]
    """Columns that a foreign key points from."""
    others: Collection[str]
    """The other tables, as :func:`subject` writes them."""
    keys_of_others: Collection[str]
    """Columns that are another table's whole primary key, and are called like nothing else."""

    def of(self, column: str) -> int:
        """`OWN` for `id` and `<table>_id`, `FOREIGN` for what points to another table, `PLAIN` for everything else."""
        if column in self.references:
            return FOREIGN
        words = snake_case(column).split("_")
        about = _about(words)
        if not about or "".join(about) in self.own:
            return OWN
        ends = ("".join(about[place:]) for place in range(len(about)))
        if column in self.keys_of_others or (about != words and any(end in self.others for end in ends)):
            return FOREIGN
        return PLAIN

    def ranked(self, candidates: Sequence[tuple[str, ...]], order: Mapping[str, int]) -> list[tuple[str, ...]]:
        """Unique combinations of columns, the one that belongs to the table first: small ones, then own names, then early columns.

        ``order`` is each column's place in the table.
        """

        def rank(names: tuple[str, ...]) -> tuple[int, int, int]:
            return (len(names), min(map(self.of, names)), min(order[name] for name in names))

        return sorted(candidates, key=rank)


def belonging(connection: Connection, oid: int, references: Collection[str]) -> Belonging:
    """What names say of the columns of the table with this OID. ``references`` are its columns with a foreign key."""
    with connection.cursor() as cursor:
        cursor.execute("select relname::text, relkind in ('v', 'm') from pg_class where oid = %s", (oid,))
        ((table, is_view),) = cursor.fetchall()
        cursor.execute(
            """
            select
                relation.relname::text,
                (
                    select min(attribute.attname::text)
                    from pg_index as index
                    inner join pg_attribute as attribute
                        on attribute.attrelid = index.indrelid and attribute.attnum = index.indkey[0]
                    where index.indrelid = relation.oid and index.indisprimary and index.indnkeyatts = 1
                )
            from pg_class as relation
            inner join pg_namespace as namespace on namespace.oid = relation.relnamespace
            where relation.oid <> %s
                and relation.relkind in ('r', 'p', 'f') and not relation.relispartition
                and namespace.nspname !~ '^pg_' and namespace.nspname <> 'information_schema'
            """,
            (oid,),
        )
        rows = cursor.fetchall()
    about = subject(table)
    others = {subject(name) for name, _ in rows} - {about, ""}
    own = {about}
    if is_view:  # it shows the rows of other tables, mostly under the name of one of them, and with its key
        own |= set(sorted((name for name in others if about.endswith(name)), key=len)[-1:])
    keys = {key for _, key in rows if key is not None and not is_view}
    return Belonging(
        own=frozenset(own),
        references=references,
        others=frozenset(others - own),
        keys_of_others=frozenset(key for key in keys if _about(snake_case(key).split("_"))),
    )


def subject(table: str) -> str:
    """What a table is about, in one word: `tbl_HocSinh` and `hoc_sinh` are both `hocsinh`, `coupons` is `coupon`."""
    words = snake_case(table).split("_")
    words = words[1:] if len(words) > 1 and words[0] in _KINDS_OF_TABLES else words
    return _singular("".join(words))


def _about(words: Sequence[str]) -> list[str]:
    """The words of a column's name but those that only say that it is an id: `coupon_id` is about a coupon, `id` about nothing."""
    if len(words) == 1 and words[0] not in _ID_WORDS:
        return [_singular(_RUN_TOGETHER.sub("", words[0]))]
    about = [word for word in words if word and word not in _ID_WORDS]
    return [*about[:-1], _singular(about[-1])] if about else []


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word
