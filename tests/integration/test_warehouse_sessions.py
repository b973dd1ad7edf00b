"""Sessions with the warehouse write values alike whatever a role has set; the log's reader says whose server went away or refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import psycopg
import psycopg2
import pytest
from psycopg import sql
from psycopg2.extensions import parse_dsn

from pdic import connections, warehouse
from pdic.errors import PdicError, SourceRefused, SourceUnavailable, WarehouseUnavailable
from pdic.release.dbt import _environment
from pdic.sources.cdc.errors import in_words
from pdic.sources.cdc.walsender import Walsender
from pdic.warehouse.formats import OF_WAREHOUSE
from tests.conftest import Postgres

CONTRACT: Any = SimpleNamespace(id="s.d", sector="s", source_connection="pdic_source_s", path="contracts/s/d.odcs.yaml")
ODD = {
    "TimeZone": "America/New_York",
    "DateStyle": "German, YMD",
    "IntervalStyle": "sql_standard",
    "extra_float_digits": "-5",
}


@pytest.fixture(scope="module")
def odd_login(postgres: Postgres) -> Iterator[str]:
    """A login whose role has set the formats otherwise."""
    uri = postgres.create_database("le_thuong")
    with psycopg.connect(postgres.uri("postgres"), autocommit=True) as admin:
        for name, value in ODD.items():
            admin.execute(
                sql.SQL("alter role le_thuong_owner set {} to {}").format(sql.Identifier(name), sql.Literal(value))
            )
    yield uri


def test_a_role_cannot_change_how_values_are_written(odd_login: str) -> None:
    with psycopg.connect(odd_login) as bare:
        assert bare.execute("select '2020-02-01 00:00+00'::timestamptz::text").fetchone() != ("2020-02-01 07:00:00+07",)
    with closing(warehouse.connect(odd_login, "test")) as connection, connection.cursor() as cursor:
        for name, value in OF_WAREHOUSE.items():
            cursor.execute("select current_setting(%s)", (name,))
            assert cursor.fetchone() == (value,)
        cursor.execute(
            "select '2020-02-01 00:00+00'::timestamptz::text, '01/02/2020'::date::text, '1 day 02:00'::interval::text, "
            "(0.1::float8 * 3)::text"
        )
        assert cursor.fetchone() == ("2020-02-01 07:00:00+07", "2020-02-01", "1 day 02:00:00", "0.30000000000000004")


def test_models_are_built_with_the_same_formats(odd_login: str) -> None:
    """As dbt's adapter connects: by libpq's parameters, the rest from the environment."""
    parts = parse_dsn(odd_login)
    with _environment(odd_login):
        connection = psycopg2.connect(**parts)
    with closing(connection), connection.cursor() as cursor:
        for name, value in {**OF_WAREHOUSE, "lock_timeout": "5min"}.items():
            cursor.execute("select current_setting(%s)", (name,))
            assert cursor.fetchone() == (value,)
        cursor.execute(
            "select '2020-02-01 00:00+00'::timestamptz::text, '01/02/2020'::date::text, (0.1::float8 * 3)::text"
        )
        assert cursor.fetchone() == ("2020-02-01 07:00:00+07", "2020-02-01", "0.30000000000000004")


@pytest.mark.parametrize("which", ["source", "warehouse"])
def test_an_outage_is_of_the_server_that_went_away(postgres: Postgres, which: str) -> None:
    uri = postgres.uri("postgres")
    with (
        closing(warehouse.open_once(uri, "source")) as source,
        closing(warehouse.open_once(connections.warehouse("loader"), "warehouse")) as target,
        psycopg.connect(uri, autocommit=True) as admin,
    ):
        gone = source if which == "source" else target
        admin.execute("select pg_terminate_backend(%s, 5000)", (gone.info.backend_pid,))
        expected: type[PdicError] = SourceUnavailable if which == "source" else WarehouseUnavailable
        with pytest.raises(expected), in_words(CONTRACT, source), gone.cursor() as cursor:
            cursor.execute("select 1")


def test_a_refused_replication_login_is_not_tried_again(odd_login: str) -> None:
    for uri in (odd_login, odd_login.replace("le_thuong_owner:", "le_thuong_owner:wrong")):
        with pytest.raises(
            SourceRefused, match="refuses a replication session to the login of connection pdic_source_s"
        ) as refused:
            Walsender(uri, CONTRACT)
        assert not refused.value.retryable
    away = re.sub(r":\d+/", ":1/", odd_login)
    with pytest.raises(SourceUnavailable, match="takes no replication session now"):
        Walsender(away, CONTRACT)
