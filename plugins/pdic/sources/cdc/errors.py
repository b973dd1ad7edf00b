"""What stops a capture from the log, beside an unreachable source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdic.errors import LoadError

if TYPE_CHECKING:
    from pdic.contracts import Contract


class NotGranted(LoadError):
    """The source lacks something that reading its log needs: a setting, a right, a publication, a replica identity."""


class SlotLost(LoadError):
    """The log no longer leads from the accepted state to the source's present one: the table has to be copied anew."""


def not_granted(contract: Contract, what: str, remedy: str) -> NotGranted:
    """The refusal of a load: what is missing, and what the source's administrator runs."""
    return NotGranted(
        f"{contract.id}: capture cdc cannot read {contract.table}: {what}. Nothing was moved. Have the source's "
        f"administrator run: {remedy}. Or change the capture in {contract.path} (docs/cdc.md)."
    )


def lost(contract: Contract, what: str) -> SlotLost:
    """The refusal to go on from a position that the log no longer continues, and the way out."""
    return SlotLost(
        f"{contract.id}: {what}. Changes may be missing from the log, so nothing was moved; accepted data is untouched. Run "
        f"`pdic slot renew {contract.id}`, then load again: the table is copied anew and compared with what was accepted."
    )
