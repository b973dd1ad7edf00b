"""Where Airflow's tasks take connections from: the same files of `secrets/` as the command line.

Airflow asks it on workers alone (`[workers] secrets_backend`): the other services hold no connection and have nothing to ask.
"""

from __future__ import annotations

import json

from airflow.sdk.bases.secrets_backend import BaseSecretsBackend

from pdic import connections, settings


class SecretFiles(BaseSecretsBackend):
    """Connections by name, from the files that this process may read."""

    def get_conn_value(self, conn_id: str, team_name: str | None = None) -> str | None:
        """A connection as JSON; None where it is not in these files, so that Airflow goes on to look elsewhere."""
        found = connections.load(settings.home()).get(conn_id)
        return None if found is None else json.dumps(found)
