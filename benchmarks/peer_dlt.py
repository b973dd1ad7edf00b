"""dlt, by its quickest way here (connectorx, then CSV and COPY). Runs in .venv-bench: `peer_dlt.py full|incremental FOLDER`.

The URIs of source and target are in the environment: a command line would show their passwords to everybody.
"""

import os
import sys

os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}

import dlt  # noqa: E402
from dlt.sources.sql_database import sql_table  # noqa: E402


def main(mode: str, folder: str) -> None:
    """Full: replaces the table. Incremental: what the cursor says has changed, merged by key."""
    cursor = dlt.sources.incremental("updated_at") if mode == "incremental" else None
    table = sql_table(
        os.environ["BENCH_SOURCE"], table="citizen", schema="public", backend="connectorx", incremental=cursor
    )
    table.apply_hints(primary_key="id", write_disposition="merge" if mode == "incremental" else "replace")
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=folder,
        destination=dlt.destinations.postgres(os.environ["BENCH_TARGET"]),
        dataset_name="dlt",
    )
    pipeline.run(table, loader_file_format="csv")


if __name__ == "__main__":
    main(*sys.argv[1:])
