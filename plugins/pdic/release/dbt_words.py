"""What dbt says of a failure, in words for those who may mend it: the file they own, one reason, and no row's value.

dbt repeats PostgreSQL's message, which quotes the value that it could not read (`invalid input syntax for type integer: "Nguyễn
Văn A"`), and the compiled file, which nobody may change.
"""

from __future__ import annotations

import re
from typing import Any, Final

WITHHELD: Final = "the database refused a value, and its message may hold a row's value and is not shown"

_CLEANING: Final = re.compile(r"\b(?:cleaned|agency)__([a-z0-9_]+?)__([a-z0-9_]+)")
"""The macros that follow from a contract's `cleaning`: `cleaned__<sector>__<dataset>`."""

_POSITION: Final = re.compile(r"\bLINE \d+:")
"""PostgreSQL points into the statement: its message speaks of the model's text, not of a row."""

_WITHOUT_VALUES: Final = re.compile(
    r"""(?x)
    duplicate\ key\ value\ violates | null\ value\ in\ column | new\ row\ for\ relation | permission\ denied | canceling\ statement
    | (?:relation|column|function|schema|type|table|index|constraint)\b.*\b(?:does\ not\ exist|already\ exists)
    | deadlock\ detected | could\ not\ (?:extend|open|write|connect|resize|access) | out\ of\ memory | division\ by\ zero
    | value\ too\ long\ for\ type | numeric\ field\ overflow | (?:integer|bigint|smallint)\ out\ of\ range
    | MERGE\ command\ cannot | more\ than\ one\ row\ returned | ON\ CONFLICT | terminating\ connection | server\ closed
    | SSL\ connection | connection\ .*\ (?:failed|closed|refused) | cannot\ .*\ because | the\ database\ system\ is | insufficient
    """
)
_QUOTES_A_VALUE: Final = re.compile(r"""\bvalue "|: "|\binvalid input\b""")
"""How PostgreSQL quotes what it could not read; the value itself may hold any of the words above."""

_HEADER: Final = re.compile(
    r"^\s*(?:\w+ )?(?:Error|Exception) in .*?\(.*?\)\s*$|^\s*(?:Database|Runtime|Compilation) Error\s*$", re.MULTILINE
)
_COMPILED: Final = re.compile(r"^\s*compiled code at .*$", re.MULTILINE | re.IGNORECASE)
_LONGEST: Final = 300


def owned(node: Any) -> str:
    """The file of a node that a person owns: a model's or seed's own; for a test, that of what it tests; a source's contract."""
    if node.resource_type == "test":
        tested = getattr(node, "attached_node", None) or next(iter(node.depends_on.nodes), None)
        return _of_id(tested, node) if tested else _file(node)
    return _file(node)


def of_message(message: str) -> str:
    """One sentence of what dbt says of a node that failed."""
    if found := _CLEANING.search(message):
        return (
            f"the cleaning of contracts/{found[1]}/{found[2]}.odcs.yaml is not compiled, or names a kind that is not there: run "
            "`pdic contracts compile`"
        )
    text = _COMPILED.sub("", _HEADER.sub("", message)).split("DETAIL:", 1)[0].strip()
    first = " ".join(text.split("\n", 1)[0].split())[:_LONGEST].rstrip(".")
    harmless = _WITHOUT_VALUES.search(first) and not _QUOTES_A_VALUE.search(first)
    if "Database Error" in message and not (_POSITION.search(message) or harmless):
        return WITHHELD
    return first or "it failed without a reason"


def of_exception(error: BaseException) -> str:
    """One sentence of what kept dbt from beginning; the file that it names is the person's own."""
    said = str(error)
    named = re.search(r"\((?:models|seeds|tests|macros)/[^)]*\)", said)
    where = f"dbt_project/{named[0][1:-1]}: " if named and "macros/cleaned" not in named[0] else ""
    return f"{where}{of_message(said)}"


def _file(node: Any) -> str:
    return f"dbt_project/{node.original_file_path}"


def _of_id(tested: str, node: Any) -> str:
    """The file of what a test tests, by its id: the model that the test is attached to, or the contract of a source."""
    kind, _, *names = tested.split(".")
    if kind == "source":
        sector = names[0].removeprefix("raw_")
        return f"contracts/{sector}/{names[1].removeprefix(f'{sector}__')}.odcs.yaml"
    return _found(names[0]) or _file(node)


def _found(name: str) -> str | None:
    from pdic import settings

    root = settings.project_root()
    for folder, ends in (("models", ".sql"), ("seeds", ".csv")):
        for path in sorted((root / "dbt_project" / folder).rglob(f"{name}{ends}")):
            return path.relative_to(root).as_posix()
    return None
