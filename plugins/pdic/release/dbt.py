"""Run dbt inside this process, so that nothing of it outlives us, and read what it did for each model."""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import psycopg2

from pdic import settings, stopping
from pdic.errors import ReleaseError, WarehouseUnavailable
from pdic.release import dbt_words, keys
from pdic.warehouse import connect, locks, no_room, outages
from pdic.warehouse.connect import Session
from pdic.warehouse.formats import OF_WAREHOUSE, startup_options

PASSWORD = "DBT_ENV_SECRET_PDIC_PASSWORD"  # noqa: S105 (a variable's name; dbt scrubs variables so named from its logs)
_THEN = "Readers still see the former release: mend what is named, or the data, then run `pdic release` again"
LOCK_WAIT_S: Final = 300
"""How long a model waits for a table that a reader or another session holds; `locks.told` says so meanwhile."""
_OWN: Final = {
    "lock_timeout": f"{LOCK_WAIT_S}s",
    "client_connection_check_interval": "5s",  # the statement of a dbt that was killed ends, and does not hold up the next build
}
_LOCKED_OUT: Final = "canceling statement due to lock timeout"
"""The server's word, of which dbt keeps the text only. A server of another language has it told as any other failure."""
STATES_SHOWN = ("error", "fail", "runtime error")


@dataclass(frozen=True)
class NodeResult:
    """What dbt did for one node: rows affected where the adapter says so, failures of a test in `failures`."""

    node: str
    status: str
    seconds: float
    rows: int | None
    failures: int | None
    message: str | None
    owned: str = ""
    """What a person changes to change the node: the model's file, the contract behind a source, the seed."""

    @property
    def failed(self) -> bool:
        """Did the node stop the build?"""
        return self.status in STATES_SHOWN


def build(transformer_uri: str, *arguments: str, full_refresh: bool = False) -> list[NodeResult]:
    """`dbt build` with the transformer's role. Raises `ReleaseError` naming each model or test that failed.

    Unit tests are left out: they judge the models' logic, which is the same for every release (`unit_tests`).
    """
    refresh = ["--full-refresh"] if full_refresh else []
    return _run(transformer_uri, "build", "--exclude-resource-type", "unit_test", *arguments, *refresh)


def unit_tests(transformer_uri: str) -> list[NodeResult]:
    """The project's dbt unit tests, over a warehouse in which its models are built. Raises `ReleaseError` as `build` does."""
    return _run(transformer_uri, "test", "--select", "test_type:unit")


def import_runner() -> Any:
    """dbt's runner, imported where it is needed: that costs seconds.

    dbt works with threads alone and asks for locks that processes could share. Those make Python start a process that watches
    over their names; where it is killed, it leaves a traceback on a person's screen. A context that forks has none.

    Its sessions are ours: a warehouse that falls silent, or a command that is to stop, ends them.
    """
    import dbt.mp_context
    from dbt.adapters.postgres import connections

    dbt.mp_context._MP_CONTEXT = multiprocessing.get_context("fork")  # type: ignore[assignment]
    connections.psycopg2 = _Driver()  # type: ignore[attr-defined, assignment]
    from dbt.cli.main import dbtRunner

    return dbtRunner


class _Driver:
    """psycopg2, whose sessions are watched, and which opens none once the command is to stop: threads of dbt do not know of that."""

    @staticmethod
    def connect(*words: Any, **named: Any) -> Session:
        if stopping.asked():
            raise psycopg2.OperationalError("the command is to stop")
        return psycopg2.connect(*words, connection_factory=Session, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(psycopg2, name)


def _run(transformer_uri: str, verb: str, *arguments: str) -> list[NodeResult]:
    runner = import_runner()
    root = str(settings.project_root() / "dbt_project")
    folders = ["--project-dir", root, "--profiles-dir", root]
    quiet = ["--log-level", "none", "--log-level-file", "none", "--no-write-json"]
    command = [verb, *folders, *quiet, *arguments]
    connect(transformer_uri, "dbt").close()  # dbt itself does not wait for a warehouse that recovers
    with (
        _environment(transformer_uri),
        _quiet_logging(),
        _no_values_kept(),
        locks.told(transformer_uri, "the release's models"),
    ):
        outcome = runner().invoke(command)
    stopping.check()  # dbt makes an outcome of Ctrl-C too
    results = [_read(result) for result in getattr(outcome.result, "results", [])]
    failed = [result for result in results if result.failed]
    texts = [str(outcome.exception or ""), *(result.message or "" for result in failed)]
    if any(map(outages.says_lost, texts)):
        raise WarehouseUnavailable(
            "the warehouse went away while dbt worked. Readers still see the former release: run `pdic release` again"
        )
    if full := next(filter(outages.says_disk_full, texts), None):
        raise no_room(full)
    if any(_LOCKED_OUT in text for text in texts):
        named = ", ".join(result.owned for result in failed if _LOCKED_OUT in (result.message or "")) or "the models"
        raise locks.table_held(transformer_uri, f"{named} could not be built", waited=LOCK_WAIT_S)
    if outcome.exception is not None and outcome.result is None:
        raise ReleaseError(f"the models cannot be built: {dbt_words.of_exception(outcome.exception)}. {_THEN}")
    if failed:
        named = "; ".join(_explain(result) for result in failed[:5])
        more = f"; and {len(failed) - 5} more" if len(failed) > 5 else ""
        raise ReleaseError(f"{named}{more}. {_THEN}")
    return results


def _explain(result: NodeResult) -> str:
    name = result.node.split(".")[2]
    if result.failures:
        many = "1 row breaks" if result.failures == 1 else f"{result.failures:,} rows break"
        return f"{result.owned}: {many} the test {name}"
    return f"{result.owned}: {dbt_words.of_message(result.message or result.status)}"


def _read(result: Any) -> NodeResult:
    affected = (result.adapter_response or {}).get("rows_affected")
    return NodeResult(
        owned=dbt_words.owned(result.node),
        node=result.node.unique_id,
        status=str(result.status),
        seconds=float(result.execution_time),
        rows=int(affected) if affected is not None else None,
        failures=result.failures,
        message=result.message,
    )


def session_options() -> str:
    """The settings with which dbt's sessions begin, as libpq takes them. The root of all keys is among them: to be shown to nobody."""
    return startup_options({**OF_WAREHOUSE, **_OWN, **keys.settings_of(settings.secret("identity_key").encode())})


@contextmanager
def _environment(uri: str) -> Iterator[None]:
    """dbt reads its connection from the environment of this process; it is put back afterwards."""
    parts = urlsplit(uri)
    home = settings.home() / "dbt"
    wanted = {
        "PDIC_DB_HOST": parts.hostname or "localhost",
        "PDIC_DB_PORT": str(parts.port or 5432),
        "PDIC_DB_NAME": unquote(parts.path.lstrip("/")),
        "PDIC_DB_USER": unquote(parts.username or ""),
        PASSWORD: unquote(parts.password or ""),
        # libpq reads this: the settings with which dbt's sessions begin.
        "PGOPTIONS": session_options(),
        "DBT_TARGET_PATH": str(home / "target"),
        "DBT_LOG_PATH": str(home / "log"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_VERSION_CHECK": "false",
    }
    former = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in former.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _no_values_kept() -> Iterator[None]:
    """Remove what dbt writes of a run: PostgreSQL's messages are in it, with values of rows. The report says what went wrong.

    Before the run too: a process that was killed, or an earlier version, may have left something.
    """
    _forget()
    try:
        yield
    finally:
        _forget()


def _forget() -> None:
    home = settings.home() / "dbt"
    for path in (home / "target" / "run_results.json", *(home / "log").glob("dbt.log*")):
        path.unlink(missing_ok=True)


@contextmanager
def _quiet_logging() -> Iterator[None]:
    """dbt rearranges the process's logging; put the root logger's handlers back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


if __name__ == "__main__":
    print(session_options())
