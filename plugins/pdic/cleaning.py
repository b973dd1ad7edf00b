"""How a column's values are cleaned before they are judged and stored in staging. `raw` keeps what the source sent.

A contract names one kind of cleaning a column (docs/cleaning.md). What a kind does is an SQL function in the warehouse's
schema `clean` (`warehouse/functions/clean.sql`). Most values are sound already, so every expression here asks first, by a
cheap test, whether a value may stay, and calls the function for the others only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from psycopg2 import sql

from pdic import patterns
from pdic.contracts.output import literal, quoted
from pdic.warehouse.statements import Rendered

if TYPE_CHECKING:
    from pdic.contracts.model import Column, Contract

_LOWER: Final = "a-zàáâãèéêìíòóôõùúýăđĩũơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ"
_UPPER: Final = "A-ZÀÁÂÃÈÉÊÌÍÒÓÔÕÙÚÝĂĐĨŨƠƯẠẢẤẦẨẪẬẮẰẲẴẶẸẺẼẾỀỂỄỆỈỊỌỎỐỒỔỖỘỚỜỞỠỢỤỦỨỪỬỮỰỲỴỶỸ"
_LETTERS: Final = _LOWER + _UPPER
_MISPLACED: Final = "|".join(
    (
        f"[oO][àáảãạèéẻẽẹÀÁẢÃẠÈÉẺẼẸ]([^{_LETTERS}]|$)",
        f"(^|[^qQ])[uU][ỳýỷỹỵỲÝỶỸỴ]([^{_LETTERS}]|$)",
        "[òóỏõọÒÓỎÕỌ][aAeE][a-zA-Z]",
        "[ùúủũụÙÚỦŨỤ][yY][ncptNCPT]",
        "[qQ][ùúủũụÙÚỦŨỤ]",
        "[gG][ìíỉĩịÌÍỈĨỊ][aoueâêôơươăAOUEÂÊÔƠƯĂ]",
        # Vowels side by side as only the older encoding VNI has them.
        "[aA][àáâãèéêúÀÁÂÃÈÉÊÚ]|[eE][àáâãùõÀÁÂÃÙÕ]|[oO][âùõÂÙÕ]|[uU][ùõÙÕ]|[yY][ùõÙÕ]",
    )
)
_NOTHING: Final = (
    "^[(#]?([nN][uU][lL][lL]|[nN][oO][nN][eE]|[nN]/[aA])"
    "|^[kK][hH][oôOÔ][nN][gG] [cC]|^[cC][hH][uưUƯ][aA] [cC]|^[đdĐD][aA][nN][gG] [cC]|^[-–.*?/_ ]+$"
)

_FENCED_ROW: Final = "case when clock_timestamp() is not null then ctid end"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of cleaning: which values it leaves alone, and the call for the others (``{}`` is the column).

    A value is sound where it matches ``sound`` (None: whatever it is), none of ``suspect``, and where ``condition`` is true; the
    function returns such a value as it is. Several short patterns cost less than one that names them all.
    """

    sound: str | None
    call: str
    suspect: tuple[str, ...] = ()
    condition: str | None = None
    also: tuple[str, ...] = ()
    """Patterns that a sound value matches as well."""

    def leaves(self, name: str) -> str:
        """The SQL condition that the value of the column called `name` is sound."""
        tests = [] if self.sound is None else [patterns.matches(name, self.sound)]
        tests += [f"{name} !~ {literal(pattern)}" for pattern in self.suspect]
        tests += [] if self.condition is None else [self.condition.format(name)]
        return " and ".join(tests)

    def known(self, value: str, pattern: str) -> str | None:
        """The SQL of `value ~ pattern` for a sound value, where it is cheaper than asking."""
        if pattern in self.also:
            return "true"
        return None if self.sound is None else patterns.given(value, pattern, self.sound)


def _day(width: int) -> str:
    """The condition of a value of digits that is yyyymmdd at its front and has `width` of them. (A pattern costs twice as much.)"""
    return f"length({{0}}) = {width} and left({{0}}, 1) in ('1', '2') and substr({{0}}, 5, 2) <= '12' and substr({{0}}, 7, 2) <= '31'"


KINDS: Final[Mapping[str, Kind]] = {
    "words": Kind(rf"^[!-~–{_LETTERS}]+( [!-~–{_LETTERS}]+)*$", "clean.words({})", (_NOTHING, _MISPLACED)),
    # Words of one capital and small letters, a family name first: nothing is turned round, and no word for nothing begins so
    # but Khổng. Ông may be a form of address.
    "name": Kind(
        None,
        "clean.name({})",
        (f"[^ {_LETTERS}]", f"[^ ][{_UPPER}]|(^| )([^{_UPPER}]|$)", _MISPLACED),
        "clean.is_family_name(split_part({0}, ' ', 1)) and split_part({0}, ' ', 1) not in ('Ông', 'Khổng')",
    ),
    # No word for nothing has a digit, and of capitals there are two. Most codes end in a digit.
    "code": Kind(
        None,
        "clean.code({})",
        ("[^!-~]",),
        "(right({0}, 1) in ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9')"
        " or {0} ~ '^([0-9A-Z]+|[!-~]*[0-9][!-~]*)$' and {0} not in ('NULL', 'NONE'))",
    ),
    **{f"digits {n}": Kind(f"^[0-9]{{{n}}}$", f"clean.digits({{}}, {n})") for n in (2, 3, 5, 10)},
    "unit_code": Kind("^([0-9]{2}|[0-9]{3}|[0-9]{5})$", "clean.unit_code({})"),
    "personal_id": Kind("^([0-9]{12}|[0-9]{9})$", "clean.personal_id({})"),
    "phone": Kind("^0[2-9][0-9]{8}$", "clean.phone({})"),
    "dotted_date": Kind(
        r"^((0[1-9]|[12]\d|3[01])\.)?((0[1-9]|1[0-2])\.)?[12]\d{3}$",
        "clean.dotted_date({})",
        also=(r"^((0[1-9]|[12]\d|3[01])\.)?((0[1-9]|1[0-2])\.)?\d{4}$",),
    ),
    **{f"compact_date {n}": Kind(None, f"clean.compact_date({{}}, {n})", ("[^0-9]",), _day(n)) for n in (8, 12)},
}
"""Kinds by the name that a contract gives. A statement should hold no more than some thirty different patterns."""


def text(column: Column) -> str:
    """The SQL of the cleaned value of the source column, whose name is unqualified; the column itself where it is not cleaned."""
    name = quoted(column.source_name)
    if column.cleaning is None:
        return name
    kind = KINDS[column.cleaning]
    return f"case when {kind.leaves(name)} then {name} else {kind.call.format(name)} end"


def expression(column: Column) -> sql.Composable:
    """`text()` for a statement of psycopg2."""
    return Rendered(text(column))


def relation(
    contract: Contract,
    table: sql.Composable,
    present: Iterable[str] | None = None,
    read: Collection[str | None] | None = None,
    told: Collection[str] = (),
) -> sql.Composed:
    """A select over a batch's table: `_row` (its ctid) and its columns, cleaned under the source's names.

    `present` names the table's columns where they may be others than the contract's, `_batch_id` and `_op`. Only the columns in
    `read` (None: all) are cleaned, each once a row however many rules read it: where anything is cleaned, `_row` asks the
    clock, and PostgreSQL keeps a select with a volatile column apart. Unlike `offset 0` that lets the scan run in parallel.
    Of each cleaned column in `told` there is one more, `told_by()`: true where its value was sound as it came.
    """
    row = _FENCED_ROW if any(column.cleaning for column in contract.columns) else "ctid"
    if not told:
        return sql.SQL("select {} as _row, {} from {}").format(sql.SQL(row), columns(contract, present, read), table)
    # The test is made once: of a value that is not sound, an array with the cleaned one goes up beside it.
    names = (
        ["_batch_id", "_op", *(column.source_name for column in contract.columns)] if present is None else [*present]
    )
    by_name = {column.source_name: column for column in contract.columns if column.source_name in told}
    mended, inside, outside = {name: f"_pdic_mended_{at}" for at, name in enumerate(by_name)}, [], []
    for name, column in by_name.items():
        kind, value, beside = KINDS[column.cleaning or ""], quoted(name), mended[name]
        inside.append(f"case when {kind.leaves(value)} then null else array[{kind.call.format(value)}] end as {beside}")
        outside.append(f"{beside} is null as {told_by(contract, name)}")
    rest = {column.source_name for column in contract.columns if read is None or column.source_name in read} - set(
        by_name
    )
    shown = [
        f"case when {mended[name]} is null then {quoted(name)} else {mended[name]}[1] end as {quoted(name)}"
        if name in by_name
        else quoted(name)
        for name in names
    ]
    return sql.SQL("select _row, {}, {} from (select {} as _row, {}, {} from {}) as sent").format(
        Rendered(", ".join(shown)),
        sql.SQL(", ".join(outside)),
        sql.SQL(row),
        columns(contract, names, rest),
        Rendered(", ".join(inside)),
        table,
    )


def told_by(contract: Contract, name: str) -> str:
    """The name of the column of `relation` that says whether the value of the column called `name` was sound."""
    return f"_pdic_sound_{[column.source_name for column in contract.columns].index(name)}"


def columns(
    contract: Contract, present: Iterable[str] | None = None, read: Collection[str | None] | None = None
) -> sql.Composed:
    """The items of `relation`'s select but `_row`."""
    by_name = {column.source_name: column for column in contract.columns}
    return sql.SQL(", ").join(
        sql.SQL("{} as {}").format(expression(by_name[name]), sql.Identifier(name))
        if name in by_name and by_name[name].cleaning and (read is None or name in read)
        else sql.Identifier(name)
        for name in (("_batch_id", "_op", *by_name) if present is None else present)
    )
