"""Names of a source's tables and columns, written for SQL."""

from __future__ import annotations

from typing import Any

from psycopg2 import sql


class Name(sql.Identifier):
    """An identifier in a statement for a source, whatever encoding the session speaks.

    The driver's own turns every name to UTF-8 before it quotes it, which makes another name of one that crosses byte by byte
    (`pdic.sources.carried`).
    """

    def as_string(self, context: Any) -> str:  # noqa: ARG002 (the driver's signature)
        """Each part in double quotes. Raises ValueError for a NUL, which no name can hold."""
        if any("\0" in part for part in self.strings):
            raise ValueError("a name holds a NUL")
        return ".".join('"' + part.replace('"', '""') + '"' for part in self.strings)
