"""How many keys may be gone at the source before an operator has to look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pdic.errors import BatchRejected

if TYPE_CHECKING:
    from pdic.contracts import Contract
    from pdic.sweep.findings import Findings

ALWAYS_ALLOWED = 1
"""A single key may go whatever its share: small lists of codes would else need approval for every row."""


class SweepHeld(BatchRejected):
    """More keys are gone than the contract allows, or all: nothing was changed, an operator decides."""


@dataclass(frozen=True, slots=True)
class Approval:
    """An operator's consent to what one held comparison (`batch_id`) had found."""

    batch_id: int
    source_rows: int
    deleted: int

    def covers(self, findings: Findings) -> bool:
        """Whether no more is gone than was approved; an empty source must have been seen as one."""
        return findings.deleted <= self.deleted and (findings.source_rows > 0 or self.source_rows == 0)


def objection(
    contract: Contract, findings: Findings, approval: Approval | None, because: str | None = None
) -> str | None:
    """Why the findings may not be applied, in words for the operator; None where they may.

    `because` is what made a load compare everything.
    """
    empty = findings.source_rows == 0 and findings.known_rows > 0
    # the count that is said is the count that is compared: shares that differ by a row are printed alike
    allowed = max(ALWAYS_ALLOWED, int(round(contract.max_deleted_share * findings.known_rows, 6)))
    if not empty and findings.deleted <= allowed:
        return None
    if approval is not None and approval.covers(findings):
        return None
    seen = (
        f"the source is empty; the warehouse knows {findings.known_rows} rows"
        if empty
        else f"{findings.deleted} of {findings.known_rows} known rows ({findings.deleted_share:.1%}) are gone at the source; "
        f"the contract allows {allowed} ({contract.max_deleted_share:.1%})"
    )
    more = f" The approval was for {approval.deleted}." if approval else ""
    reason = f"{because}, and " if because else ""
    # an approval alone would not help: the rule on the number of rows would hold the batch next
    fewest = (
        f"set minRows to {findings.source_rows} in {contract.path}, run `pdic contracts compile`, and "
        if findings.source_rows < contract.min_rows
        else ""
    )
    return (
        f"{contract.id}: {reason}{seen}.{more} Nothing was changed. If {contract.owner_agency} says that this is right, {fewest}run "
        f"`pdic reconcile {contract.sector}.{contract.dataset} --approve --reason WHY`; else have the source put right and run again."
    )
