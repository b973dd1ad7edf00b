"""What rules would find in batches that were loaded before: a rule is tried before it is switched on.

Nothing is written. Rows are judged as they came, those that were accepted and those that are held, cleaned as every check cleans
them. The answer holds counts, agencies' codes, and keys only where the contract calls every column of them public or internal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg2
from psycopg2 import sql

from pdic import agency, cleaning, connections, contracts, raw, settings
from pdic.quality import lookups, predicates
from pdic.quality.gate import SESSION, Target, open_gate
from pdic.quality.rule_types import Engine
from pdic.quality.rules import Rule, RuleError, Stage, load_rules, rules_for_batch
from pdic.quality.safe_text import safe_text
from pdic.warehouse import Connect, connect, unusable
from pdic.warehouse.statements import Rendered

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Contract

SHOWN_AGENCIES: Final = 5
SHOWN_KEYS: Final = 5


@dataclass
class Trial:
    """What one rule finds in one batch. `held` are rows that it finds and that are in quarantine already, for whatever reason.

    `checked` counts the batch's rows, accepted and held, for a rule of rows; for a rule about the table `checked` is 1 and
    `failed` 0 or 1, of the accepted rows. `agencies` are those with the most failing rows, `keys` some of them.
    `raised` says why the rule could not be evaluated.
    """

    rule: Rule
    batch_id: int
    checked: int | None = None
    failed: int | None = None
    held: int | None = None
    agencies: dict[str, int] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    raised: str | None = None

    @property
    def share(self) -> float | None:
        """Failing share of the rows checked."""
        return self.failed / self.checked if self.failed is not None and self.checked else None

    def report(self) -> dict[str, Any]:
        """The trial as plain values."""
        return {
            "rule": self.rule.id,
            "active": self.rule.active,
            "on_fail": self.rule.on_fail.value,
            "batch_id": self.batch_id,
            "checked": self.checked,
            "failed": self.failed,
            "percent": None if self.share is None else round(100 * self.share, 3),
            "held": self.held,
            "agencies": self.agencies,
            "keys": self.keys,
            "raised": self.raised,
        }


def trials(
    sector: str,
    dataset: str,
    *,
    rule_ids: Iterable[str] = (),
    file: Path | None = None,
    batches: int = 5,
    connect_to: Connect = connections.uri,
) -> list[Trial]:
    """Try rules on the newest `batches` that brought rows, newest first.

    Tried are the rules `rule_ids` (drafts among them) of the dataset and of `file`, a rule file that need not lie in the project;
    without ids all of `file`; without either what is new (drafts, and rules that no batch was judged by yet), or else all rules of
    the dataset. Raises RuleError for a wrong file, an unknown rule, no batch to try it on.
    """
    root = settings.project_root()
    contract = contracts.get(sector, dataset, root)
    auditor_uri = connect_to("pdic_warehouse_auditor")
    connection = connect(auditor_uri, "quality try", options=SESSION)
    try:
        with connection:
            rules = _chosen(connection, root, contract, tuple(rule_ids), file)
            newest = _newest(connection, contract, batches)
        found = [trial for batch_id in newest for trial in _by_rows(connection, root, contract, batch_id, rules)]
    finally:
        connection.close()
    if tables := [rule for rule in rules if not rule.judges_rows]:
        found += _by_table(auditor_uri, contract, newest, tables)
    order = {rule.id: place for place, rule in enumerate(rules)}
    return sorted(found, key=lambda trial: (order[trial.rule.id], -trial.batch_id))


def _chosen(
    connection: Connection, root: Path, contract: Contract, rule_ids: tuple[str, ...], file: Path | None
) -> list[Rule]:
    standing = {rule.id: rule for rule in rules_for_batch(root, contract.sector, contract.dataset, drafts=True)}
    own = {rule.id: rule for rule in load_rules([file], Stage.BATCH, drafts=True)} if file else {}
    known = standing | own
    if unknown := [rule_id for rule_id in rule_ids if rule_id not in known]:
        raise RuleError(
            f"{contract.id} has no rule {', '.join(unknown)}: write it into expectations/batch/{contract.sector}/"
            f"{contract.dataset}.yaml (with active: false while it is a draft), or name its file by --file"
        )
    if rule_ids or own:
        return [known[rule_id] for rule_id in rule_ids] or list(own.values())
    with connection.cursor() as cursor:
        cursor.execute(
            "select distinct rule_id from control.expectation_result where sector = %s and dataset = %s",
            (contract.sector, contract.dataset),
        )
        seen = {rule_id for (rule_id,) in cursor.fetchall()}
    new = [rule for rule in standing.values() if not rule.active or rule.id not in seen]
    return new or list(standing.values())


def _newest(connection: Connection, contract: Contract, batches: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select batch_id from control.batch
            where
                sector = %s and dataset = %s and status = 'accepted' and capture <> 'retry'
                and rows_accepted + rows_quarantined > 0
            order by batch_id desc limit %s
            """,
            (contract.sector, contract.dataset, batches),
        )
        found = [batch_id for (batch_id,) in cursor.fetchall()]
    if not found:
        raise RuleError(
            f"{contract.id} has no accepted batch to try a rule on: run `pdic load {contract.sector}.{contract.dataset}` first"
        )
    return found


def _by_rows(
    connection: Connection, root: Path, contract: Contract, batch_id: int, rules: Sequence[Rule]
) -> Iterator[Trial]:
    for rule in rules:
        if rule.judges_rows:
            try:
                with connection:
                    yield _of_rows(connection, root, contract, batch_id, rule)
            except psycopg2.Error as error:
                if refusal := unusable(error):
                    raise refusal from error
                yield Trial(rule, batch_id, raised=safe_text(error))


def _of_rows(connection: Connection, root: Path, contract: Contract, batch_id: int, rule: Rule) -> Trial:
    trial = Trial(rule, batch_id, checked=0, failed=0, held=0)
    of_batch = sql.SQL("_batch_id = {} and _op = 'U'").format(sql.Literal(batch_id)).as_string(connection)
    for table, is_held in ((raw.parent(contract), False), (raw.quarantine(contract), True)):
        fails = _fails(connection, root, contract, rule, table, of_batch)
        if fails is None:
            return Trial(rule, batch_id, raised="a dataset that it looks things up in was never loaded")
        rows = sql.SQL("({}) as cleaned where {}").format(cleaning.relation(contract, table), Rendered(of_batch))
        _count(connection, contract, trial, rows, fails, is_held)
    trial.agencies = dict(sorted(trial.agencies.items(), key=lambda item: (-item[1], item[0]))[:SHOWN_AGENCIES])
    return trial


def _fails(
    connection: Connection, root: Path, contract: Contract, rule: Rule, table: sql.Identifier, of_batch: str
) -> sql.Composable | None:
    """The condition that is true for a row breaking the rule; None where what it looks things up in never came."""
    if rule.rule_type.engine is not Engine.LOOKUP:
        return predicates.predicate(rule)
    judged = lookups.rows(contract, table, condition=of_batch)
    found = lookups.prepare(connection, contract, table, [rule], root=root, judged=judged)
    if rule.id in found.unknown:
        return None
    with connection.cursor() as cursor:
        cursor.execute(lookups.PLANNING)
    return sql.SQL("_row in ({})").format(found.queries[rule.id])


def _count(
    connection: Connection, contract: Contract, trial: Trial, rows: sql.Composable, fails: sql.Composable, is_held: bool
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("select {agency}, count(*), count(*) filter (where {fails}) from {rows} group by 1").format(
                agency=agency.code(contract, cleaned=True), fails=fails, rows=rows
            )
        )
        for code, checked, failed in cursor.fetchall():
            trial.checked = (trial.checked or 0) + checked
            trial.failed = (trial.failed or 0) + failed
            trial.held = (trial.held or 0) + (failed if is_held else 0)
            if code is not None and failed:
                trial.agencies[code] = trial.agencies.get(code, 0) + failed
        left = SHOWN_KEYS - len(trial.keys)
        if left and all(contract.column(name).is_open for name in contract.key):
            cursor.execute(
                sql.SQL("select {key} from {rows} and ({fails}) order by 1 limit {left}").format(
                    key=raw.key_text(contract), rows=rows, fails=fails, left=sql.Literal(left)
                )
            )
            trial.keys += [key for (key,) in cursor.fetchall()]


def _by_table(auditor_uri: str, contract: Contract, batch_ids: Sequence[int], rules: Sequence[Rule]) -> Iterator[Trial]:
    with open_gate(auditor_uri) as gate:
        for batch_id in batch_ids:
            target = Target("raw", raw.batch_name(contract, batch_id), rows=("_op", "U"), cleaned_by=contract)
            for result in gate.check(target, rules):
                yield Trial(
                    result.rule,
                    batch_id,
                    result.checked,
                    result.failed,
                    held=0 if result.failed is not None else None,
                    raised=result.raised,
                )
