"""Draft the change of a contract whose source has changed: the contract's text, its version, and what else follows."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdic import contracts, settings, whole_files
from pdic.contracts import Contract, pg_types, yaml_text
from pdic.errors import OnboardError
from pdic.onboard import draft as drafts
from pdic.onboard.classify import ClassGuess, classify
from pdic.onboard.edit import ContractText
from pdic.onboard.files import try_out, write_all
from pdic.onboard.introspect import TableFacts, facts, open_source
from pdic.onboard.names import fold
from pdic.quarantine import register
from pdic.sources import policies
from pdic.sources.carried import at_source
from pdic.sources.catalogue import SourceColumn
from pdic.sources.drift import narrowed, renames
from pdic.sources.shapes import Shape, Shapes
from pdic.warehouse import Connect, locks, transaction

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

Report = dict[str, Any]

_READ_AGAIN = {
    "cursor": "rows accepted before hold nothing yet in a new column: the next load of {} compares all rows and fills it",
    "cdc": "rows accepted before hold nothing in a new column until everything is read anew: run `pdic load {} --full`",
}
"""What is to be done so that old rows get what a column holds that no load has read yet, by capture."""
_COMPARE = "compare what was accepted under the guessed key: run `pdic load {} --full`"


def update(sector: str, dataset: str, connect_to: Connect, key: Sequence[str] = ()) -> Report:
    """Bring a contract in line with its source: new, renamed, retyped and vanished columns, enum labels.

    ``key`` names the source's columns that are the key where onboarding only guessed one; they are held against the rows.
    Writes the contract with a new version (minor where columns or labels were added, else major), the staging model where
    it still is the drafted one, and the generated files. Returns `changes` in words, `version`, `written`, `then`: what a
    person still has to do, and `warnings`: other contracts that cannot be used. Raises `OnboardError` where a key that nobody
    guessed has changed, which makes another dataset of it, and where ``key`` is none; then, as after a ContractError, nothing has
    been written.
    """
    root = settings.project_root()
    whole_files.finish(root)  # a change that was agreed on is what the contract says
    contract = contracts.get(sector, dataset, root)
    if key and not contract.key_guessed and tuple(key) != contract.key_at_source:
        raise OnboardError(
            f"{contract.id}: its key ({', '.join(contract.key_at_source)}) was not guessed. {_another_dataset(contract)}"
        )
    another = bool(key) and tuple(key) != contract.key_at_source
    if another:
        with _loader(contract, connect_to) as loader:
            _require_none_held(loader, contract, key)
    uri, agreed = connect_to(contract.source_connection), contract.row_security_agreed
    encoding = contract.encoding
    with open_source(uri, contract.source_connection, hidden_rows=agreed, encoding=encoding) as source:
        there = at_source(source, contract)
        found = facts(
            source, contract.table_schema, contract.table_name, key=key or None, hidden_rows=agreed, encoding=encoding
        )
        policies_now = policies.digest(source, there.table_schema, there.table_name)
    if hidden := sorted(set(found.unread) & {column.name_at_source for column in contract.columns}):
        raise OnboardError(
            f"{contract.id}: this login may not read {', '.join(hidden)} any more: have the source's administrator run: {found.grant}"
        )
    former = Shapes(connect_to("pdic_warehouse_loader")).former(contract)
    with settings.locked(settings.home(), "onboard"):
        whole_files.finish(root)
        if contracts.get(sector, dataset, root) != contract:
            raise OnboardError(f"{contract.id}: {contract.path} was changed meanwhile: run the command again")
        change = _Change(contract, found, (root / contract.path).read_text(encoding="utf-8"), tuple(key))
        change.columns()
        change.labels()
        if key and contract.key_guessed:
            change.rename_key()
        if former is not None:
            change.promises(narrowed(former, Shape.of(found.table, policies_now), found.table, contract))
        if not change.said:
            return {
                "dataset": contract.id,
                "changes": [],
                "version": contract.version,
                "written": [],
                "then": [_COMPARE.format(contract.id)] if key else [],
                "warnings": [],
            }
        version = _raised(contract.version, major=change.major)
        change.text.set_version(version)
        (new,), warnings = try_out(root, {contract.path: change.text.text})
        files = {contract.path: change.text.text} | _model(root, contract, new, change)
        with _settled(contract, connect_to, key) if another else nullcontext():
            written = write_all(root, files)
    return {
        "dataset": contract.id,
        "changes": change.said,
        "version": version,
        "written": [path.as_posix() for path in written],
        "then": change.then,
        "warnings": warnings,
    }


def _another_dataset(contract: Contract) -> str:
    """What a person does where the key has become another one: what was accepted stays under the former name and key."""
    return (
        f"Rows with another key are another dataset: give {contract.path} another name (its file, id and name) and the new key, remove "
        f"{drafts.staging_path(contract)}, and run `pdic onboard --connection {contract.source_connection} --table "
        f"{shlex.quote(contract.table)} --yes`, which writes what is missing"
    )


def _emptied(contract: Contract, key: Sequence[str]) -> list[str]:
    """The rules that hold rows for nothing but a guessed key that is empty, of the columns that ``key`` leaves out."""
    return [
        f"{contract.dataset}.{name}.required"
        for name in contract.key
        if contract.column(name).name_at_source not in key
    ]


def _require_none_held(loader: Connection, contract: Contract, key: Sequence[str]) -> None:
    """Raises `OnboardError` where rows are held under the guessed key for more than that it is empty: nobody would find them by another."""
    if held := register.held_beside(loader, contract, _emptied(contract, key)):
        raise OnboardError(
            f"{contract.id}: {held:,} of its rows are in quarantine under the guessed key: have them corrected or deleted at the source, "
            "load the dataset, and name the key then"
        )


@contextmanager
def _settled(contract: Contract, connect_to: Connect, key: Sequence[str]) -> Iterator[None]:
    """Nobody loads the dataset while the block writes its new key, and no row that only waits for that key is held any more.

    A load that is at work would hold rows under the former key after they were let go of. Raises `Busy`, `OnboardError`. Cut off
    before the block has ended, the same command does the rest; without it, the next load that reads everything holds the rows again.
    """
    with locks.Session(connect_to, "pdic_warehouse_loader", f"update {contract.id}") as session:
        session.take(locks.dataset(contract.id))
        with _loader(contract, connect_to) as loader:
            _require_none_held(loader, contract, key)
            register.forget_keyless(loader, contract, _emptied(contract, key))
        yield


def _loader(contract: Contract, connect_to: Connect) -> AbstractContextManager[Connection]:
    return transaction(connect_to("pdic_warehouse_loader"), f"update {contract.id}")


class _Change:
    """The change of one contract as it grows."""

    def __init__(self, contract: Contract, found: TableFacts, text: str, key: tuple[str, ...]) -> None:
        self.contract = contract
        self.found = found
        self.named_key = key
        self.text = ContractText(text)
        self.said: list[str] = []
        self.then: list[str] = []
        self.major = False

    def columns(self) -> None:
        """Columns that went, came, or became something else."""
        table = self.found.table
        renamed = renames(table, self.contract)
        for column in self.contract.columns:
            name = column.name_at_source
            source = table.column(renamed.get(name, name))
            if source is None:
                self._no_key(name, "is gone")
                self.text.remove_column(name)
                self._say(f"column {name} is gone: taken out (raw keeps it for its history)", major=True)
                continue
            if name in renamed:
                self.text.set_field(name, "physicalName", source.name)
                self._say(f"column {name} is now called {source.name} (raw keeps {name} for its history)", major=True)
            problem = source.problem(column)
            if problem:
                self._retype(source)
                self._say(problem, major=True)
        known = {column.name_at_source for column in self.contract.columns} | set(renamed.values())
        added = [source for source in table.columns if source.name not in known]
        names = fold(
            (source.name for source in added),
            self.contract.entity,
            taken=(column.name for column in self.contract.columns),
        )
        order = [source.name for source in table.columns]
        for source in added:
            here = order.index(source.name)
            before = [name for name in order[:here] if name in known]
            guess = self._class(source)
            drafted = drafts.drafted_column(source, names[source.name], guess.classification, guess.held)
            self.text.insert_column(drafts.column_entry(drafted, ()), before[-1] if before else None)
            known.add(source.name)
            self._say(f"column {source.name} ({drafted.physical_type}) is new: {drafted.classification}, a guess")
        if (added or renamed) and self.contract.capture in _READ_AGAIN:
            self.then.append(_READ_AGAIN[self.contract.capture].format(self.contract.id))

    def labels(self) -> None:
        """Labels of enums whose contract lists them; the words people gave to those that stay are kept."""
        for column in self.contract.columns:
            source = self.found.table.column(column.name_at_source)
            if source is None or not column.enum or not source.labels or source.labels == column.enum:
                continue
            listed = set(map(str, column.enum))
            lost, new = listed - set(source.labels), set(source.labels) - listed
            if not lost and not new:
                continue
            words = dict(zip(map(str, column.enum), column.enum_labels, strict=True))
            entries = [{"value": label, "label": words.get(label) or label or "(empty)"} for label in source.labels]
            self.text.set_field(column.name_at_source, "enum", entries)
            what = ", ".join(
                [*(f"{label} is new" for label in sorted(new)), *(f"{label} is gone" for label in sorted(lost))]
            )
            self._say(f"enum labels of {column.name_at_source}: {what}", major=bool(lost))

    def rename_key(self) -> None:
        """The key that a person names in the place of the guessed one, or the guessed one confirmed."""
        key, renamed = self.named_key, renames(self.found.table, self.contract)
        former = tuple(renamed.get(name, name) for name in self.contract.key_at_source)
        for name in former:
            self.text.remove_field(name, "primaryKey")
            self.text.remove_field(name, "primaryKeyPosition")
            source = self.found.table.column(name)
            if name not in key and source is not None and not source.not_null:
                self.text.remove_field(name, "required")  # it was required as a part of the key
        for place, name in enumerate(key, start=1):
            self.text.set_field(name, "required", True)
            if len(key) > 1:
                self.text.set_field(name, "primaryKeyPosition", place)
            self.text.set_field(name, "primaryKey", True)
        if rest := sorted(set(self._marks()) - {"key"}):
            self.text.set_custom(None, "guessed", rest)
        else:
            self.text.remove_custom(None, "guessed")
        if key == former:
            self._say(f"the key is {', '.join(key)}, as it was guessed")
            return
        self._say(f"the key is {', '.join(key)}; {', '.join(former)} was a guess", major=True)
        self.then.append(_COMPARE.format(self.contract.id))

    def _marks(self) -> list[str]:
        document = yaml_text.load(self.text.text)
        return next(item["value"] for item in document["customProperties"] if item["property"] == "guessed")

    def promises(self, problems: list[str]) -> None:
        """What the source promised and no longer does: the new version says that it is agreed."""
        for problem in problems:
            if "primary key" in problem and not self.named_key:
                raise OnboardError(f"{self.contract.id}: {problem}. {_another_dataset(self.contract)}")
            self._say(problem, major=True)
        if self.said:
            self.text.set_table_kind(self.found.table.kind)

    def _retype(self, source: SourceColumn) -> None:
        drafted = drafts.drafted_column(source, source.name, "internal")
        self.text.set_field(source.name, "physicalType", drafted.physical_type)
        self.text.set_field(source.name, "logicalType", pg_types.logical_type(drafted.physical_type))
        if drafted.source_type:
            self.text.set_custom(source.name, "sourceType", drafted.source_type)
        else:
            self.text.remove_custom(source.name, "sourceType")

    def _class(self, source: SourceColumn) -> ClassGuess:
        carrier = source.carrier or "text"
        values = self.found.samples.get(source.name, ())
        return classify(
            source.name,
            carrier,
            values,
            is_key=source.name in self.found.references,
            has_codes=bool(source.labels),
        )

    def _no_key(self, name: str, what: str) -> None:
        if name in self.contract.key_at_source:
            raise OnboardError(f"{self.contract.id}: the key column {name} {what}. {_another_dataset(self.contract)}")

    def _say(self, words: str, *, major: bool = False) -> None:
        self.said.append(words)
        self.major = self.major or major


def _model(root: Path, old: Contract, new: Contract, change: _Change) -> dict[Path, str]:
    """The staging model anew where nobody has changed the drafted one; else what is left to do is noted."""
    path = drafts.staging_path(new)
    target = root / path
    if not target.exists() or target.read_text(encoding="utf-8") == drafts.staging_text(old):
        return {path: drafts.staging_text(new)}
    change.then.append(f"{path.as_posix()} has been worked on: bring it in line with the contract by hand")
    return {}


def _raised(version: str, *, major: bool) -> str:
    first, second, _ = (int(part) for part in version.split("."))
    return f"{first + 1}.0.0" if major else f"{first}.{second + 1}.0"
