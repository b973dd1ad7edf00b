"""The watch over readers: their logins are as the record says, and no session goes on beyond a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pdic.operators.base import PdicOperator, connect_to

if TYPE_CHECKING:
    from airflow.sdk import Context


class ReadersOperator(PdicOperator):
    """Puts logins of readers right, and ends their sessions beyond the limits; the task's log says which."""

    def run(self, context: Context) -> dict[str, Any]:
        """Returns how many things were put right or ended."""
        from pdic.warehouse import readers

        return {"found": len(readers.watch(connect_to))}
