"""Whatever a source's role, database and server have set: rows arrive as they are, and what has not changed is quiet."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import psycopg
import pytest

from pdic.onboard.introspect import facts, open_source, tables_of
from pdic.sources.postgres import count_rows_of
from pdic.sources.session import SHORT, open_session, pin
from tests.conftest import Postgres
from tests.integration.strange_sources import StrangeSector, sector_with_a_reader

SECTOR = "phien"

HOSTILE = {
    "client_encoding": "latin1",
    "search_path": "xau, public, pg_catalog",
    "timezone": "America/New_York",
    "datestyle": "SQL, DMY",
    "intervalstyle": "sql_standard",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "array_nulls": "off",
    "quote_all_identifiers": "on",
    "xmloption": "document",
    "xmlbinary": "hex",
    "standard_conforming_strings": "off",
    "transform_null_equals": "on",
    "row_security": "on",
    "gin_fuzzy_search_limit": "1",
    "statement_timeout": "200ms",
    "lock_timeout": "1ms",
    "idle_in_transaction_session_timeout": "200ms",
    "idle_session_timeout": "200ms",
    "transaction_timeout": "200ms",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "restrict_nonsystem_relation_kind": "view",
    "wal_sender_timeout": "1s",
}
ONE_BY_ONE = (
    "extra_float_digits",
    "datestyle",
    "timezone",
    "intervalstyle",
    "bytea_output",
    "search_path",
    "transaction_timeout",
)

COLUMNS = {
    "id": "bigint",
    "Nhãn X": "text",
    "so": "double precision",
    "luc": "timestamp with time zone",
    "ngay": "date",
    "bao_lau": "interval",
    "bytes": "bytea",
    "cac": "text[]",
    "ghi": "jsonb",
    # Read by a cast: written as text at the source, by the rules of its session.
    "gop": "text",
    "ten": "text",
}
SOURCES = {"gop": "public.gop", "ten": "public.text"}

TABLE = """
create type public.gop as (so double precision, luc timestamptz, ngay date, bao_lau interval, bytes bytea);
create domain public.text as pg_catalog.varchar(40);
create schema xau;
create function xau.current_setting(pg_catalog.text) returns pg_catalog.text language sql as 'select 1 / 0';
create function xau.count(pg_catalog.text) returns bigint language sql as 'select -1::bigint';
"""
ROWS = """
create table {name} (
    id bigint primary key, "Nhãn X" pg_catalog.text, so double precision, luc timestamptz, ngay date, bao_lau interval,
    bytes bytea, cac pg_catalog.text[], ghi jsonb, gop public.gop, ten public.text
);
insert into {name}
select
    i, 'Đặng ' || i, 0.1::float8 + 0.2::float8, timestamptz '2026-02-03 04:05:06.789+07', date '2026-02-03',
    interval '1 mon -2 days 03:04:05', '\\x00ff5c'::bytea, array['ạ', null, 'NULL'], '{{"ấ": [1.10, null]}}',
    row(
        0.1::float8 + 0.2::float8, timestamptz '2026-02-03 04:05:06+07', date '2026-02-03', interval '-1 day 2 hours',
        '\\x5c00'::bytea
    )::public.gop,
    'tên ' || i
from generate_series(1, 30) as i
"""


@pytest.fixture(scope="module")
def sector(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StrangeSector]:
    with sector_with_a_reader(postgres, tmp_path_factory.mktemp("project"), SECTOR) as made:
        made.run(TABLE)
        made.run(f"grant usage on schema xau to {SECTOR}_reader")
        yield made


@pytest.fixture
def hostile(sector: StrangeSector, postgres: Postgres) -> Iterator[None]:
    """Every setting at once."""
    with psycopg.connect(postgres.uri(SECTOR), autocommit=True) as admin:
        for name, value in HOSTILE.items():
            if _knows(admin, name):
                _set(admin, f"role {SECTOR}_reader", name, value)
        yield
        admin.execute(f"alter role {SECTOR}_reader reset all")  # type: ignore[call-overload]


def _knows(admin: psycopg.Connection[tuple[object, ...]], name: str) -> bool:
    """Is there such a setting in this version?"""
    return bool(admin.execute("select from pg_settings where name = lower(%s)", (name,)).fetchall())


def _set(admin: psycopg.Connection[tuple[object, ...]], whose: str, name: str, value: str) -> None:
    written = value if name == "search_path" else f"'{value}'"
    admin.execute(f"alter {whose} set {name} = {written}")  # type: ignore[call-overload]


def _texts(sector: StrangeSector, name: str) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """All rows as the source writes them in a session without any setting, and as raw holds them."""
    columns = ", ".join(f'"{column}"::pg_catalog.text' for column in COLUMNS)
    plain = "-c timezone=UTC -c datestyle=ISO -c search_path=public"
    with psycopg.connect(
        sector.owner, options=plain + " -c extra_float_digits=1 -c bytea_output=hex -c intervalstyle=postgres"
    ) as connection:
        there = connection.execute(f"select {columns} from {name} order by id").fetchall()  # type: ignore[call-overload]
    return there, sector.newest(name, columns)


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize("capture", ["snapshot", "cursor", "cdc"])
def test_hostile_settings_change_no_row(sector: StrangeSector, capture: str) -> None:
    name = f"thu_{capture}"
    columns, sources, more = COLUMNS, SOURCES, {}
    if capture == "cdc":  # the log gives no casts
        columns = {column: kind for column, kind in COLUMNS.items() if column not in SOURCES}
        sources = {}
    if capture == "cursor":
        more = {"cursorColumn": "luc", "deletes": "reconcile"}
    sector.run(ROWS.format(name=name))
    sector.run(f"create publication pdic_{SECTOR}__{name} for table {name}")
    sector.contract(name, columns, sources=sources, capture=capture, **more)
    assert sector.accepted(name)["rows_accepted"] == 30
    there, here = _texts(sector, name) if capture != "cdc" else ([], [])
    assert here == there
    if capture == "cursor":
        assert sector.accepted(name)["rows_extracted"] >= 0
    else:
        sector.assert_quiet(name)
    sector.run(f"update {name} set so = 0.3, \"Nhãn X\" = 'ổ' where id = 7")
    if capture == "cursor":
        sector.run(f"update {name} set luc = now() where id = 7")
    assert sector.accepted(name)["rows_accepted"] >= 1
    assert (7, 0.3, "ổ") in sector.newest(name, 'id, so, "Nhãn X"')


def test_settings_that_change_between_two_loads_change_no_row(sector: StrangeSector, postgres: Postgres) -> None:
    sector.run(ROWS.format(name="doi"))
    sector.contract("doi", COLUMNS, sources=SOURCES)
    sector.accepted("doi")
    with psycopg.connect(postgres.uri(SECTOR), autocommit=True) as admin:
        for number, name in enumerate(ONE_BY_ONE):
            if not _knows(admin, name):
                continue
            _set(admin, f"role {SECTOR}_reader" if number % 2 else f"database {SECTOR}", name, HOSTILE[name])
            again = sector.accepted("doi")
            assert (name, again["rows_accepted"]) == (name, 0)
        admin.execute(f"alter role {SECTOR}_reader reset all")  # type: ignore[call-overload]
        admin.execute(f"alter database {SECTOR} reset all")  # type: ignore[call-overload]
    there, here = _texts(sector, "doi")
    assert here == there


@pytest.mark.usefixtures("hostile")
def test_a_view_that_takes_longer_than_the_roles_limits_is_read(sector: StrangeSector) -> None:
    sector.run(
        "create view cham as select i::bigint as id from generate_series(1, 3) as i where pg_sleep(0.15) is not null"
    )
    sector.contract("cham", {"id": "bigint"})
    assert sector.accepted("cham")["rows_accepted"] == 3


@pytest.mark.usefixtures("hostile")
def test_counting_and_onboarding_see_what_is_there(sector: StrangeSector) -> None:
    sector.run(ROWS.format(name="dem"))
    contract = sector.contract("dem", COLUMNS, sources=SOURCES)
    assert count_rows_of(sector.reader, [contract]) == {contract.id: 30}
    with open_source(sector.reader, f"pdic_source_{SECTOR}") as source:
        assert "dem" in [name for name, _ in tables_of(source, "public")]
        found = facts(source, "public", "dem")
    types = {column.name: (column.type, column.carrier) for column in found.table.columns}
    assert types["Nhãn X"] == ("text", "text")
    assert types["ten"] == ("public.text", "character varying(40)")
    assert types["luc"] == ("timestamp with time zone", "timestamp with time zone")
    assert "Đặng 1" in found.samples["Nhãn X"]


def test_every_setting_is_pinned_in_every_transaction(sector: StrangeSector, postgres: Postgres) -> None:
    """Also where a pooler between them refuses settings at the start: then it finds its sessions as they were."""
    with psycopg.connect(postgres.uri(SECTOR), autocommit=True) as admin:
        _set(admin, f"role {SECTOR}_reader", "datestyle", "SQL, DMY")
        _set(admin, f"role {SECTOR}_reader", "extra_float_digits", "-15")
        try:
            with pooler(postgres.port) as port:
                uri = sector.reader.replace(f":{postgres.port}/", f":{port}/")
                with closing(open_session(uri, "test")) as session, session.cursor() as cursor:
                    for _ in range(2):
                        pin(session, SHORT)
                        cursor.execute("select (0.1::float8 + 0.2::float8)::text, date '2026-02-03'::text")
                        assert cursor.fetchone() == ("0.30000000000000004", "2026-02-03")
                        cursor.execute("select current_setting('statement_timeout'), current_setting('row_security')")
                        assert cursor.fetchone() == ("1min", "off")
                        session.commit()
                    cursor.execute("select current_setting('extra_float_digits'), current_setting('statement_timeout')")
                    assert cursor.fetchone() == ("-15", "0")
        finally:
            admin.execute(f"alter role {SECTOR}_reader reset all")  # type: ignore[call-overload]


@contextmanager
def pooler(server: int) -> Iterator[int]:
    """What PgBouncer does with a startup packet that holds `options`: it refuses it. All else goes through."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    threading.Thread(target=_relay, args=(client, server), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def _relay(client: socket.socket, server: int) -> None:
    with client, socket.create_connection(("127.0.0.1", server)) as upstream:
        size, code = struct.unpack("!II", client.recv(8, socket.MSG_WAITALL))
        while code != 196608:  # requests for encryption come first: not here
            client.sendall(b"N")
            size, code = struct.unpack("!II", client.recv(8, socket.MSG_WAITALL))
        rest = client.recv(size - 8, socket.MSG_WAITALL)
        if b"options\0" in rest:
            fields = b"SFATAL\0C08P01\0Munsupported startup parameter: options\0\0"
            client.sendall(b"E" + struct.pack("!I", len(fields) + 4) + fields)
            return
        upstream.sendall(struct.pack("!II", size, code) + rest)

        def back() -> None:
            with suppress(OSError):
                while block := upstream.recv(1 << 16):
                    client.sendall(block)

        threading.Thread(target=back, daemon=True).start()
        with suppress(OSError):
            while block := client.recv(1 << 16):
                upstream.sendall(block)
