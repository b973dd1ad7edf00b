"""The real stack: Airflow's scheduler loads a small province and releases it, survives what happens to it, and goes away whole.

One story in order, on one home: each step stands on the last.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from psycopg import sql

from pdic import airflow_stack, connections, contracts, embedded, ports, processes, release, settings
from pdic.generated.catalogue import SECTORS
from pdic.processes import Started
from tests.integration.province import Province

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]
RUN_SECONDS = 900
LOADS = tuple(f"load_{sector}" for sector in sorted(SECTORS))


@pytest.fixture(scope="module")
def province(new_home: Callable[[], Path]) -> Province:
    """A seeded home with everything up."""
    made = Province(new_home())
    made.pdic("demo", "seed", "--citizens", "2000", "--seed", "7")
    plant_secrets(made.home)
    made.pdic("up")
    return made


HEADS = ("Nguyễn Thị Kín ", "0441", "0912")
NAMES = tuple(
    f"{HEADS[0]}{word} {number}" for number in range(10) for word in ("Đào", "Mận", "Hồng", "Lựu", "Quế", "Sen", "Trúc")
)
NUMBERS = tuple(f"{HEADS[1]}{number:02d}{number * 7919 + 130_013:06d}" for number in range(70))
PHONES = tuple(f"{HEADS[2]}{number * 6271 + 204_101:06d}" for number in range(60))
SECRETS = (*NAMES, *NUMBERS, *PHONES)
"""Two hundred values that belong to nobody else: each lies in a row that breaks rules, some where nobody expects them.

Each begins with one of HEADS: what holds none of these holds no value, and need not be searched for two hundred.
"""


def plant_secrets(home: Path) -> None:
    """Puts the values into visits that end before they begin: as name, number and phone, and in columns for codes and dates."""
    with psycopg.connect(connections.to_uri(connections.load(home)["pdic_demo_health"])) as health:
        ids = [found for (found,) in health.execute('select "ID" from xml1 where not "DA_XOA" order by "ID" limit 70')]
        assert len(ids) == 70
        health.cursor().executemany(
            """
            update xml1 set
                "HO_TEN" = %(name)s, "SO_CCCD" = %(number)s, "DIEN_THOAI" = %(phone)s, "MA_KHOA" = %(phone)s,
                "MA_BN" = %(name)s, "GT_THE_TU" = %(name)s, "MA_DKBD" = %(number)s, "NGAY_SINH" = %(number)s,
                "MA_THE_BHYT" = %(name)s, "NGAY_VAO" = '202610100900', "NGAY_RA" = '202610090900'
            where "ID" = %(id)s
            """,
            [
                {"id": key, "name": NAMES[at], "number": NUMBERS[at], "phone": PHONES[at % len(PHONES)]}
                for at, key in enumerate(ids)
            ],
        )


@pytest.fixture
def uri(province: Province) -> Callable[[str], str]:
    """Connections of the province by id."""
    return lambda conn_id: connections.to_uri(connections.load(province.home)[conn_id])


@pytest.fixture
def owner(uri: Callable[[str], str]) -> Iterator[psycopg.Connection[Any]]:
    """The owner of the sector health's database."""
    with psycopg.connect(uri("pdic_demo_health"), autocommit=True) as connection:
        yield connection


def run(province: Province, *dag_ids: str) -> dict[str, tuple[str, dict[str, str]]]:
    """Has the scheduler run the DAGs at the same time; dag id → the run's state and its tasks' states."""
    started = {dag_id: airflow_stack.trigger_dag(province.home, dag_id) for dag_id in dag_ids}
    api = airflow_stack.api(province.home)
    return {
        dag_id: (api.wait(dag_id, run_id, RUN_SECONDS), api.tasks(dag_id, run_id)) for dag_id, run_id in started.items()
    }


def wait_for_release(province: Province, uri: Callable[[str], str]) -> None:
    """Waits until no release runs and the live one holds everything accepted."""
    deadline = time.monotonic() + RUN_SECONDS
    api = airflow_stack.api(province.home)
    while True:
        states = [found["state"] for found in api.runs("release")]
        assert "failed" not in states, errors_of(province.home, "release")
        if not {"queued", "running"} & set(states) and release.is_current(uri):
            return
        assert time.monotonic() < deadline, f"no release within {RUN_SECONDS} s: {states}"
        time.sleep(1)


def errors_of(home: Path, dag_id: str) -> str:
    """What the DAG's tasks logged as errors, newest last: what a failed test has to say."""
    logs = sorted((home / "log" / "airflow" / f"dag_id={dag_id}").rglob("*.log"), key=lambda path: path.stat().st_mtime)
    lines = [line for path in logs for line in path.read_text(encoding="utf-8").splitlines()]
    return "\n".join(line[:2000] for line in lines if '"level":"error"' in line)


def airflow_processes(home: Path) -> list[Started]:
    recorded = settings.read_state(home, "airflow")["processes"].values()
    leaders = [Started(int(entry["pid"]), float(entry["started"])) for entry in recorded]
    return [process for leader in leaders for process in processes.session_of(leader)]


def server_processes(home: Path) -> list[Started]:
    return processes.working_in(str(home / "pgdata"), "postgres")


def test_the_scheduler_loads_all_sectors_and_releases(province: Province, uri: Callable[[str], str]) -> None:
    for dag_id, (state, tasks) in run(province, *LOADS).items():
        assert state == "success", (tasks, errors_of(province.home, dag_id))
        assert set(tasks.values()) == {"success"}, tasks
    wait_for_release(province, uri)
    status = province.pdic("status")
    assert all(found["balanced"] for found in status["datasets"]), status["datasets"]
    assert sum(found["rows"] for found in status["shared"]) > 0
    assert status["problems"] == []
    announced = {event["name"]: event["extra"] for event in asset_events(province.home)}
    news = province.query(  # not of the newest batch: the hour of a sector's own schedule may just have passed
        "loader",
        """
        select 'raw.' || sector || '.' || dataset, max(batch_id) from control.batch
        where status = 'accepted' and rows_accepted + rows_quarantined > 0 group by 1
        """,
    )
    names = {f"raw.{found['sector']}.{found['dataset']}" for found in status["datasets"]}
    assert {name: announced[name]["batch_id"] for name in names & set(announced)} == dict(news)
    events = {found["table"]: announced[f"shared.{found['table']}"] for found in status["shared"]}
    assert {found["table"]: found["rows"] for found in status["shared"]} == {
        table: event["rows"] for table, event in events.items()
    }
    assert max(event["release_id"] for event in events.values()) == status["release"]["live"]


def asset_events(home: Path) -> list[dict[str, Any]]:
    """What was announced, oldest first."""
    api, found = airflow_stack.api(home), list[dict[str, Any]]()
    while page := api.get("assets/events", order_by="timestamp", limit=50, offset=len(found))["asset_events"]:
        found += page
    return found


def test_a_reader_sees_the_shared_tables_and_nothing_else(province: Province, uri: Callable[[str], str]) -> None:
    with psycopg.connect(uri("pdic_warehouse_reader"), autocommit=True) as reader:
        rows = 0
        for found in province.pdic("status")["shared"]:
            query = sql.SQL("select count(*) from shared.{}").format(sql.Identifier(found["table"]))
            rows += reader.execute(query).fetchone()[0]
        assert rows > 0
        others = "select nspname from pg_namespace where nspname !~ '^(pg_|information_schema|shared$)' order by 1"
        with psycopg.connect(uri("pdic_warehouse_admin")) as admin:
            schemas = [name for (name,) in admin.execute(others)]
        assert {"raw", "staging", "vault", "published", "slot_a", "candidate", "control", "quarantine"} <= set(schemas)
        for schema in schemas:
            readable = reader.execute(
                """
                select relname from pg_class
                where relnamespace = %s::regnamespace and relkind in ('r', 'p', 'v', 'm')
                    and has_schema_privilege(relnamespace, 'usage') and has_table_privilege(oid, 'select')
                """,
                [schema],
            ).fetchall()
            assert readable == [], schema


def test_a_load_without_news_ends_well_and_announces_nothing(province: Province, uri: Callable[[str], str]) -> None:
    before = len(airflow_stack.dag_runs(province.home, "release"))
    state, tasks = run(province, "load_investment")["load_investment"]
    assert state == "success", errors_of(province.home, "load_investment")
    assert (tasks["accept"], tasks["report"]) == ("skipped", "success"), tasks
    assert len(airflow_stack.dag_runs(province.home, "release")) == before
    assert release.is_current(uri)


def test_a_dataset_whose_source_drifted_fails_visibly_and_alone(
    province: Province, uri: Callable[[str], str], owner: psycopg.Connection[Any]
) -> None:
    province.pdic("demo", "tick", "--days", "1")
    column = contracts.get("health", "xml2").columns[-1].source_name
    rename = sql.SQL('alter table "public".{} rename column {} to {}')
    table = sql.Identifier(contracts.get("health", "xml2").table.split(".")[1])
    owner.execute(rename.format(table, sql.Identifier(column), sql.Identifier("renamed")))
    try:
        state, tasks = run(province, "load_health")["load_health"]
    finally:
        owner.execute(rename.format(table, sql.Identifier("renamed"), sql.Identifier(column)))
    assert state == "failed"
    assert {task for task, found in tasks.items() if found == "failed"} == {"extract.xml2", "report"}
    complaints = errors_of(province.home, "load_health")
    assert column in complaints, "the task and the report say what drifted"
    assert "/airflow/sdk/execution_time/" not in complaints, "a refusal is a sentence, not a traceback"
    assert tasks["accept"] == "success"
    wait_for_release(province, uri)
    state, tasks = run(province, "load_health")["load_health"]
    assert state == "success", tasks
    wait_for_release(province, uri)


def test_what_is_taken_back_is_announced_and_stays_away_until_a_person_says_so(province: Province) -> None:
    def newest_events() -> dict[str, int]:
        events = {event["name"]: event["extra"] for event in asset_events(province.home)}
        return {name: extra["release_id"] for name, extra in events.items() if name.startswith("shared.")}

    shown = province.pdic("rollback", "--reason", "a trial")["release_id"]
    state, tasks = run(province, "catch_up")["catch_up"]  # or its own run of this hour, if that came before
    assert state == "success", tasks
    changed = {name for name, release_id in newest_events().items() if release_id == shown}
    assert 0 < len(changed) < len(newest_events()), "only tables that changed are announced"
    state, tasks = run(province, "release")["release"]
    assert (state, tasks["audit"], tasks["publish"]) == ("success", "success", "skipped"), tasks
    assert province.pdic("status")["release"]["live"] == shown
    resumed = province.pdic("release", "resume", "--reason", "the trial is over")
    assert resumed["status"] == "published"
    state, tasks = run(province, "catch_up")["catch_up"]  # or its own run of this hour, if that came before
    assert state == "success", tasks
    assert max(newest_events().values()) == resumed["release_id"]


def test_values_planted_in_failing_rows_show_nowhere_but_in_the_inner_schemas(
    province: Province, uri: Callable[[str], str]
) -> None:
    province.pdic("quality", "docs")
    assert any((province.home / "data_docs").rglob("health.xml1.html"))
    found_in = set()
    with psycopg.connect(embedded.superuser_uri(province.home, "warehouse")) as warehouse:
        for schema, table in tables_of(warehouse):
            if rows_holding_secrets(warehouse, schema, table):
                found_in.add((schema, table))
        held = 'select count(*) from quarantine.health__xml1 where "HO_TEN" = any(%s)'
        assert warehouse.execute(held, [list(NAMES)]).fetchone() == (70,)
    assert (
        {("quarantine", "health__xml1")}
        <= found_in
        <= {("quarantine", "health__xml1"), ("staging", "stg_health__xml1")}
    )
    with psycopg.connect(uri("airflow_db")) as airflow:
        assert [found for found in tables_of(airflow) if rows_holding_secrets(airflow, *found)] == []
    looked_at = 0
    for part in province.home.iterdir():
        if part.name not in {"pgdata", "secrets"}:
            for path, text in texts_below(part):
                looked_at += 1
                if any(head in text for head in HEADS):
                    assert not [value for value in SECRETS if value in text], path
    assert looked_at > 200


def texts_below(place: Path) -> Iterator[tuple[Path, str]]:
    """Every file at or below a place, and what it holds. Airflow works meanwhile: what it takes away in this moment is passed over."""
    below = (Path(folder) / name for folder, _, names in os.walk(place) for name in names)
    for path in below if place.is_dir() else [place]:
        with suppress(FileNotFoundError):
            yield path, path.read_text(encoding="utf-8", errors="replace")


def tables_of(connection: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    """All tables of a database, partitions included."""
    return connection.execute(
        """
        select relnamespace::regnamespace::text, relname from pg_class
        where relkind in ('r', 'm') and relnamespace::regnamespace::text !~ '^(pg_|information_schema)' order by 1, 2
        """
    ).fetchall()


def rows_holding_secrets(connection: psycopg.Connection[Any], schema: str, table: str) -> int:
    """How many rows of a table hold one of the planted values, in whichever column."""
    query = sql.SQL(
        """
        select count(*) from {} as looked_at
        where case when (looked_at.*)::text like any(%s) then (looked_at.*)::text ~ %s else false end
        """
    ).format(sql.Identifier(schema, table))
    found = connection.execute(query, [[f"%{head}%" for head in HEADS], "|".join(SECRETS)]).fetchone()
    assert found is not None
    return int(found[0])


def test_no_log_holds_what_people_own(province: Province, uri: Callable[[str], str]) -> None:
    planted: set[str] = set()
    for contract in contracts.load_all().values():
        # A feed's records lie in a table of the same name behind its service.
        schema, table = (
            ("public", contract.table.rpartition("/")[2])
            if contract.feed
            else (contract.table_schema, contract.table_name)
        )
        login = uri(f"pdic_demo_{contract.sector}" if contract.feed else contract.source_connection)
        for column in contract.columns:
            if column.classification not in {"personal", "sensitive", "identifier"}:
                continue
            query = sql.SQL(
                "select distinct {column}::text from {table} where length({column}::text) >= 9 limit 40"
            ).format(column=sql.Identifier(column.source_name), table=sql.Identifier(schema, table))
            if column.physical_type.startswith(("character", "text")):
                with psycopg.connect(login) as source:
                    planted |= {value for (value,) in source.execute(query)}
    assert len(planted) > 300
    looked_at = 0
    for path, text in texts_below(province.home / "log"):
        looked_at += 1
        assert not [value for value in planted if value in text], path
    assert looked_at > 50


def test_no_secret_shows_in_a_process_list_or_environment(province: Province) -> None:
    secrets = [path.read_text(encoding="utf-8").strip() for path in (province.home / "secrets").iterdir()]
    secrets += [entry["password"] for entry in connections.load(province.home).values()]
    watched = 0
    for process in (*airflow_processes(province.home), *server_processes(province.home)):
        try:
            running = psutil.Process(process.pid)
            shown = [*running.cmdline(), *running.environ().values()]
        except psutil.Error:
            continue
        watched += 1
        assert not [secret for secret in secrets for text in shown if secret in text]
    assert watched > 8


def test_everything_listens_on_this_machine_only(province: Province) -> None:
    addresses = set()
    for process in (*airflow_processes(province.home), *server_processes(province.home)):
        with suppress(psutil.NoSuchProcess):  # a task or a parser that has ended since listens nowhere
            for connection in psutil.Process(process.pid).net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN:
                    addresses.add(connection.laddr.ip)
    assert addresses == {ports.HOST}


def test_killed_outright_in_the_middle_of_a_load_it_comes_back_and_ends_the_load(
    province: Province, uri: Callable[[str], str]
) -> None:
    before = province.pdic("status", "--checksums")["shared"]
    province.pdic("demo", "tick", "--days", "1")
    run_id = airflow_stack.trigger_dag(province.home, "load_education")
    api = airflow_stack.api(province.home)
    while "running" not in api.tasks("load_education", run_id).values():
        time.sleep(0.1)
    killed = [*airflow_processes(province.home), *server_processes(province.home)]
    processes.send(killed, signal.SIGKILL)
    assert processes.wait_gone(killed, 60) == []
    assert airflow_stack.health(province.home)["running"] is False
    province.pdic("up", "--no-airflow")  # with it, the load goes on and a release may follow before anybody has looked
    assert province.pdic("status", "--checksums")["shared"] == before
    assert province.pdic("up")["airflow"]["running"] is True
    state = airflow_stack.wait_dag_run(province.home, "load_education", run_id, RUN_SECONDS)
    assert state == "success", errors_of(province.home, "load_education")
    wait_for_release(province, uri)
    education = [found for found in province.pdic("status")["datasets"] if found["sector"] == "education"]
    assert education
    assert all(found["balanced"] for found in education), education


def test_workers_that_outlived_a_killed_scheduler_are_ended_when_it_comes_back(province: Province) -> None:
    entry = settings.read_state(province.home, "airflow")["processes"]["scheduler"]
    scheduler = Started(int(entry["pid"]), float(entry["started"]))
    workers = [process for process in processes.session_of(scheduler) if process != scheduler]
    assert workers
    processes.send([scheduler], signal.SIGKILL)
    assert processes.wait_gone([scheduler], 60) == []
    api_server = settings.read_state(province.home, "airflow")["processes"]["api-server"]
    airflow_stack.up(province.home)
    assert processes.wait_gone(workers, 0) == []
    assert settings.read_state(province.home, "airflow")["processes"]["api-server"] == api_server
    assert airflow_stack.health(province.home)["running"] is True


def test_a_database_that_was_restarted_is_noticed_and_up_mends_what_it_broke(province: Province) -> None:
    """Fault: `pg_ctl restart -m immediate`. The scheduler ends or falls silent. Invariant: `up` brings a stack that loads."""
    server = server_processes(province.home)
    postmaster = embedded.status(province.home)
    assert postmaster is not None
    os.kill(postmaster.pid, signal.SIGQUIT)
    assert processes.wait_gone(server, 60) == []
    embedded.start(province.home)
    assert province.pdic("up")["airflow"]["components"] == dict.fromkeys(airflow_stack.COMPONENTS, "healthy")
    ended = run(province, "load_investment")
    assert ended["load_investment"][0] == "success", errors_of(province.home, "load_investment")
    assert [found for found in province.pdic("status")["problems"] if found["where"] == "airflow"] == []


def test_down_leaves_no_process_and_can_be_said_twice(province: Province) -> None:
    were = [*airflow_processes(province.home), *server_processes(province.home)]
    server = embedded.status(province.home)
    assert server is not None
    for _ in range(2):
        province.pdic("down")
        assert processes.wait_gone(were, 0) == []
        assert airflow_processes(province.home) == []
        assert server_processes(province.home) == []
        assert ports.is_free(server.port)
