"""Parses dags/ as Airflow does, in a process of its own, and prints what came of it as JSON. Run by test_dag_integrity.py.

The folder is parsed twice: the first time Python and Airflow warm up (modules, provider metadata), the second time every file
opened, connection made or process started is noted, by the interpreter's audit events, which nothing can bypass.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

WATCHED = {"open", "socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system", "os.posix_spawn", "os.fork"}
noted: list[str] | None = None


def note(event: str, arguments: tuple[Any, ...]) -> None:
    """Notes a watched event, unless it is the reading of Python code."""
    if noted is None or event not in WATCHED:
        return
    if event == "open" and str(arguments[0]).endswith((".py", ".pyc")):
        return
    noted.append(f"{event} {str(arguments[:2])[:200]}")


def main(folder: Path) -> dict[str, Any]:
    """What Airflow would make of the DAG files in `folder`."""
    global noted
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization

    DagBag(str(folder), bundle_name="tests")
    noted = []
    bag = DagBag(str(folder), bundle_name="tests")
    events, noted = noted, None
    return {
        "import_errors": bag.import_errors,
        "events": events,
        "dags": {dag_id: DagSerialization.to_dict(dag) for dag_id, dag in bag.dags.items()},
    }


if __name__ == "__main__":
    sys.addaudithook(note)
    result = main(Path(sys.argv[1]))
    print("\n" + json.dumps(result))
