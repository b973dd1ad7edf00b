"""Take on tables of a source: from its catalogue to contract, staging model and everything that is generated, ready to load.

Data flows one way: `introspect` (facts) → `guess` (a draft) → a person's answers → `draft` (texts) → `files` (the project).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pdic import connections, encodings, settings, whole_files
from pdic.contracts import Contract, standing
from pdic.contracts.catalogue import Sector
from pdic.contracts.findings import SNAKE_CASE
from pdic.contracts.read import RAW_NAME_CHARACTERS, SHARED, dataset_of, find, is_place
from pdic.errors import OnboardError
from pdic.onboard import draft as drafts
from pdic.onboard.beside import tables_named
from pdic.onboard.cursors import Wish
from pdic.onboard.encoding import Ask, settled
from pdic.onboard.files import try_out, write_all
from pdic.onboard.guess import NO_WISH, Draft, Guess, guess_contract
from pdic.onboard.introspect import facts, open_source, tables_of
from pdic.onboard.names import fold, snake_case, title
from pdic.warehouse import one, transaction

__all__ = ["Guess", "onboard", "sector_of"]

Report = dict[str, Any]
Confirm = Callable[[str, tuple[Guess, ...]], "dict[Guess, str] | None"]
"""Shows the guesses about a dataset to a person; their answers, or None where the dataset is not wanted."""

_DERIVED = {"v": "view", "m": "materialized view", "f": "foreign table"}


def sector_of(conn_id: str) -> str:
    """The sector that a connection's id names: `pdic_source_health` is of health, `Chinook DB` of chinook_db."""
    return snake_case(conn_id.removeprefix("pdic_source_"))


def onboard(
    conn_id: str,
    uri: str,
    *,
    table: tuple[str, str] | None = None,
    schema: str | None = None,
    sector: str | None = None,
    agency: str | None = None,
    confirm: Confirm | None = None,
    key: Sequence[str] = (),
    hidden_rows: bool = False,
    cursor: Wish = NO_WISH,
    encoding: str | None = None,
    ask_encoding: Ask | None = None,
) -> Report:
    """Draft contracts and models for one table (schema, name) or all tables of a schema, and write them.

    A table that has a contract in the sector already keeps it; what is missing of its files is made, so a run that was cut
    off is mended by running it again. Of a schema, tables that cannot be taken on are left out and named under `refused`;
    a table asked for by name raises instead. Without ``confirm`` every guess stands, marked as such in the contract.
    ``key`` names the source's columns that are the key of ``table``; they are held against its rows. ``hidden_rows`` agrees that
    what the login sees is the dataset where a policy hides rows from it: the contract says so.
    ``cursor`` names columns that loads go by in tables that have them, and whose time stamps without a time zone are.
    ``encoding`` is what the texts of a database are written in that names none (SQL_ASCII); where its texts are not UTF-8,
    ``ask_encoding`` is asked for it, with a guess, and without that it is refused.
    Raises `OnboardError`, `SourceUnavailable`, ContractError; then nothing has been written.
    """
    root = settings.project_root()
    sector = sector or sector_of(conn_id)
    if not SNAKE_CASE.fullmatch(sector) or sector == SHARED:
        raise OnboardError(f"{sector!r} cannot be a sector's name: say --sector, in snake_case like public_works")
    known = _Known.read(root, sector)
    with open_source(uri, conn_id, encoding=encodings.NAMES[0]) as source:
        of = schema if table is None else table[0]
        encoding = settled(source, conn_id, encoding, known.encodings(conn_id), [of] if of else [], ask_encoding)
    formerly = _formerly_loaded(sector, known)
    found, refused, skipped = _drafts(
        conn_id,
        uri,
        sector,
        known,
        formerly,
        table=table,
        schema=schema,
        key=key,
        hidden_rows=hidden_rows,
        cursor=cursor,
        encoding=encoding,
    )
    wanted: list[Draft] = []
    for item in found:
        answers = confirm(f"{sector}.{item.dataset}", item.guesses) if confirm else {}
        if answers is None:
            skipped.append({"table": item.facts.written, "why": "not wanted"})
        else:
            wanted.append(item.decided(answers) if confirm else item)
    # A person may have thought about the answers for an hour: only now does anybody else have to wait, and is looked at again.
    with settings.locked(settings.home(), "onboard"):
        whole_files.finish(root)
        known = _Known.read(root, sector)
        wanted, late = _still_free(wanted, known)
        skipped += late
        owner, schedule = known.owner_and_schedule()
        nobody = agency is None and owner is None
        agency = agency or owner or f"Cơ quan quản lý {title(sector)}"
        texts = {
            drafts.contract_path(item): drafts.contract_text(
                replace(item, guessed=item.guessed | {"agency"}) if nobody else item, agency, conn_id, schedule
            )
            for item in wanted
        }
        new, warnings = try_out(root, texts)
        written = write_all(root, texts | _models(root, [*known.contracts.values(), *new]))
    guesses = [guess for item in wanted for guess in item.guesses]
    warnings += _renamed(sector, wanted, formerly)
    if wanted and nobody:
        guesses.append(Guess(sector, None, "agency", agency, "nobody said whose data it is: say --agency"))
    return {
        "sector": sector,
        "connection": conn_id,
        "datasets": [f"{sector}.{item.dataset}" for item in wanted],
        "guesses": [asdict(guess) for guess in guesses],
        "refused": refused,
        "skipped": skipped,
        "written": [path.as_posix() for path in written],
        "warnings": warnings,
    }


@dataclass(frozen=True, slots=True)
class _Known:
    """What the contracts of a sector say: by dataset those that can be read, and of all of them the tables and the names."""

    contracts: dict[str, Contract]
    taken_on: dict[tuple[str, str], Path]
    names: frozenset[str]
    former: Sector | None

    @classmethod
    def read(cls, root: Path, sector: str) -> _Known:
        """Raises `OnboardError` where a contract of the sector does not let its table be known."""
        found = find(root)
        mine = {dataset: contract for (of, dataset), contract in found.datasets.items() if of == sector}
        unread = [each for each in found.problems if each.path.parent.name == sector and is_place(each.path)]
        tables = {(contract.table_schema, contract.table_name): contract.path for contract in mine.values()}
        return cls(
            mine,
            tables_named(root, unread) | tables,
            frozenset({*mine, *(dataset_of(problem.path) for problem in unread)}),
            standing.sectors(root).get(sector),
        )

    def encodings(self, conn_id: str) -> set[str]:
        """What the contracts of a connection say that its texts are written in."""
        return {of.encoding for of in self.contracts.values() if of.source_connection == conn_id and of.encoding}

    def owner_and_schedule(self) -> tuple[str | None, str]:
        """Whose data the sector's are, None where nobody has said, and when a new dataset is loaded."""
        if first := next(iter(self.contracts.values()), None):
            return first.owner_agency, first.cadence
        return (
            (self.former.owner_agency, self.former.schedule) if self.former and self.names else (None, drafts.SCHEDULE)
        )


def _formerly_loaded(sector: str, known: _Known) -> frozenset[str]:
    """Datasets of a sector that were loaded under a contract that is no more. Their rows, under their key, keep the name."""
    with (
        transaction(connections.warehouse("loader"), "onboard") as loader,
        loader.cursor() as cursor,
    ):
        cursor.execute("select to_regclass('control.dataset') is not null")
        if not one(cursor)[0]:
            return frozenset()
        cursor.execute(
            "select dataset from control.dataset where sector = %s and accepted_batch_id is not null", (sector,)
        )
        return frozenset(dataset for (dataset,) in cursor.fetchall()) - known.names


def _renamed(sector: str, wanted: Sequence[Draft], formerly: frozenset[str]) -> list[str]:
    """What is said of a table that would have had the name of a dataset which was loaded before."""
    return [
        f"{item.facts.written} was taken on as {sector}.{item.dataset}: the warehouse holds rows of {sector}.{former} from a contract "
        "that is no more, and two tables under one name would be mixed"
        for item in wanted
        if (former := snake_case(item.facts.name)) in formerly and former != item.dataset
    ]


def _still_free(wanted: Sequence[Draft], known: _Known) -> tuple[list[Draft], list[Report]]:
    """The drafts whose table nobody else took on meanwhile, and the others with the reason."""
    free: list[Draft] = []
    late: list[Report] = []
    for item in wanted:
        if path := known.taken_on.get((item.facts.schema, item.facts.name)):
            late.append({"table": item.facts.written, "why": f"it has the contract {path}"})
        elif item.dataset in known.names:
            why = f"another table was taken on as {item.dataset} meanwhile: run the command again"
            late.append({"table": item.facts.written, "why": why})
        else:
            free.append(item)
    return free, late


def _drafts(
    conn_id: str,
    uri: str,
    sector: str,
    known: _Known,
    formerly: frozenset[str],
    *,
    table: tuple[str, str] | None,
    schema: str | None,
    key: Sequence[str],
    hidden_rows: bool,
    cursor: Wish,
    encoding: str | None,
) -> tuple[list[Draft], list[Report], list[Report]]:
    """The drafts, and what was refused and skipped with the reason."""
    taken_on = known.taken_on
    refused: list[Report] = []
    skipped: list[Report] = []
    found: list[Draft] = []
    with open_source(uri, conn_id, hidden_rows=hidden_rows, encoding=encoding) as source:
        if table is not None:
            names = [table]
        elif schema is not None:
            names = []
            for name, kind in tables_of(source, schema, encoding):
                if kind in _DERIVED and (schema, name) not in taken_on:
                    why = f"it is a {_DERIVED[kind]}, whose key nobody declares: name it with --table to take it on"
                    skipped.append({"table": f"{schema}.{name}", "why": why})
                else:
                    names.append((schema, name))
        else:
            raise OnboardError("say --table SCHEMA.TABLE or --schema SCHEMA")
        new = [name for name in names if name not in taken_on]
        skipped += [
            {"table": f"{of}.{name}", "why": f"it has the contract {taken_on[of, name]}"}
            for of, name in names
            if (of, name) in taken_on
        ]
        folded = fold(
            (name for _, name in new),
            "dataset",
            limit=RAW_NAME_CHARACTERS - len(sector) - 2,
            taken=known.names | formerly,
            reserved=frozenset(),
        )
        for of, name in new:
            try:
                looked_at = facts(source, of, name, key, hidden_rows=hidden_rows, encoding=encoding)
                drafted = guess_contract(looked_at, sector, folded[name], cursor, must=table is not None)
                found.append(replace(drafted, row_security_agreed=looked_at.hidden_rows, encoding=encoding))
            except OnboardError as error:
                if table is not None:
                    raise
                refused.append({"table": f"{of}.{name}", "why": str(error)})
    return found, refused, skipped


def _models(root: Path, sector: Iterable[Contract]) -> dict[Path, str]:
    """Staging models and their YAML entries for those of a sector's contracts that lack them."""
    files: dict[Path, str] = {}
    entries: dict[Path, dict[str, Contract]] = {}
    for contract in sector:
        model = drafts.staging_path(contract)
        if not (root / model).exists():
            files[model] = drafts.staging_text(contract)
        entries.setdefault(drafts.models_path(contract), {})[f"stg_{contract.raw_table}"] = contract
    for path, models in entries.items():
        text = (root / path).read_text(encoding="utf-8") if (root / path).exists() else ""
        files[path] = drafts.with_model_entries(text, {name: drafts.staging_entry(of) for name, of in models.items()})
    return files
