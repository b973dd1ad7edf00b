"""A database that nobody here designed goes onboard, is loaded and released, and equals its source, with no hand edit."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from typer.testing import CliRunner

from pdic import connections, contracts, embedded, load, release, settings, status, warehouse
from pdic.cli.app import app
from pdic.contracts import Contract, compile_all
from pdic.errors import OnboardError, PdicError
from pdic.onboard import Guess, onboard
from pdic.onboard.share import share
from pdic.release import promises
from pdic.release.views import OWN
from tests.conftest import Postgres

OURS = Path(__file__).parents[2]
STRANGERS = Path(__file__).with_name("strangers")
HOSTILE_AGENCY = "Sở {{ 1 / 0 }} {% raise %} \"'\\ \u202e: #"
pytestmark = pytest.mark.timeout(300)


class Strangers:
    """A home and a project of its own, whose only sectors are the two strangers."""

    def __init__(self, root: Path, uris: dict[str, str]) -> None:
        self.root = root
        self.uris = uris
        self.reports: dict[str, dict[str, Any]] = {}

    def connect_to(self, conn_id: str) -> str:
        return self.uris.get(conn_id) or connections.uri(conn_id)

    def onboard(self, conn_id: str, **options: Any) -> dict[str, Any]:
        return onboard(conn_id, self.uris[conn_id], **options)

    def source(self, contract: Contract) -> str:
        return self.uris[contract.source_connection]

    def files(self) -> dict[Path, str]:
        return {
            path.relative_to(self.root): path.read_text(encoding="utf-8")
            for folder in ("contracts", "dbt_project/models", "expectations", "plugins")
            for path in (self.root / folder).rglob("*")
            if path.is_file()
        }


def copied(uri: str, query: sql.Composable) -> list[str]:
    """The rows of a query as COPY writes them, sorted."""
    with psycopg.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute("set timezone = 'Asia/Ho_Chi_Minh'")
        with cursor.copy(sql.SQL("copy ({}) to stdout").format(query)) as rows:
            return sorted(b"".join(bytes(block) for block in rows).decode().splitlines())


def project(root: Path) -> Path:
    """A project that has this one's logic and none of its sectors."""
    for part in ("dbt_project/macros", "dbt_project/tests/generic"):
        shutil.copytree(OURS / part, root / part)
    for part in ("dbt_project/dbt_project.yml", "dbt_project/profiles.yml", "pyproject.toml"):
        shutil.copy(OURS / part, root / part)
    (root / "dbt_project" / "models").mkdir()
    return root


@pytest.fixture(scope="module")
def strangers(new_home: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Strangers]:
    home = new_home()
    root = project(tmp_path_factory.mktemp("project"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PDIC_HOME", str(home))
        patch.setenv("PDIC_ROOT", str(root))
        embedded.start(home)
        warehouse.migrate(connections.warehouse("admin"))
        server = embedded.status(home)
        assert server is not None
        postgres = Postgres(home, server.port)
        uris = {}
        for conn_id, database, script in (
            ("pdic_source_library", "library", "library.sql"),
            ("Trader_DB", "trader", "orders.sql"),
            ("pdic_source_hostile", "hostile", "hostile.sql"),
        ):
            uris[conn_id] = postgres.create_database(database)
            with psycopg.connect(uris[conn_id]) as source:
                source.execute((STRANGERS / script).read_text(encoding="utf-8"))  # type: ignore[call-overload]
        strangers = Strangers(root, uris)
        strangers.reports["library"] = strangers.onboard("pdic_source_library", schema="public", agency="Thư viện tỉnh")
        strangers.reports["orders"] = strangers.onboard("Trader_DB", schema="Sales Dept", sector="orders")
        strangers.reports["hostile"] = strangers.onboard("pdic_source_hostile", schema="public", agency=HOSTILE_AGENCY)
        strangers.reports["late"] = strangers.onboard("pdic_source_library", table=("public", "overdue"), sector="late")
        yield strangers


@pytest.fixture(scope="module")
def released(strangers: Strangers) -> Strangers:
    """Two of the sectors loaded, a choice shared, and released once."""
    loaded = {
        f"{r['sector']}.{r['dataset']}": r for r in load.load(["library", "orders", "hostile"], strangers.connect_to)
    }
    assert {name: r["status"] for name, r in loaded.items()} == dict.fromkeys(loaded, "accepted"), loaded
    assert sum(report["rows_quarantined"] for report in loaded.values()) == 0
    share("library", "work", ["title", "issued", "mark", "keywords", "fee"])
    share("orders", "order_details")
    share("library", "user", ["user_select", "user_from"])
    share("hostile", "macro_x", ["a", "b", "comment", "position", "timestamp"])
    assert release.release(connect_to=strangers.connect_to)["status"] == "published"
    return strangers


def test_every_table_is_taken_on_and_what_is_not_is_named(strangers: Strangers) -> None:
    report = strangers.reports["library"]
    assert report["datasets"] == [
        f"library.{name}" for name in ("creator", "loan", "member", "user", "work", "work_creator")
    ]
    assert [entry["table"] for entry in report["refused"]] == ["public.log_line"]
    assert "primary key" in report["refused"][0]["why"]
    assert [entry["table"] for entry in report["skipped"]] == ["public.overdue"]
    names = strangers.reports["orders"]["datasets"]
    assert names == [
        "orders.customers",
        "orders.empty_table",
        "orders.order_details",
        "orders.oddments",
        "orders.don_hang",
    ]


def test_the_drafts_are_what_the_sources_say(strangers: Strangers) -> None:
    known = contracts.load_all(strangers.root)
    work = known["library", "work"]
    assert (work.capture, work.key, work.owner_agency) == ("snapshot", ("work_id",), "Thư viện tỉnh")
    assert work.column("mark").enum == ("A", "B+", 'it\'s "odd"', "Đặc biệt")
    assert (work.column("late_fee").physical_type, work.column("late_fee").source_type) == ("numeric", "money")
    member = known["library", "member"]
    assert (member.capture, member.cursor_column, member.deletes) == ("cursor", "updated_at", "reconcile")
    assert {column.name: column.classification for column in member.columns} == {
        "member_id": "internal",
        "full_name": "personal",
        "email": "personal",
        "so_dinh_danh": "identifier",
        "birth_date": "personal",
        "active": "internal",
        "updated_at": "internal",
    }
    assert known["library", "loan"].key == ("loan_id", "period")
    assert known["library", "user"].key == ("select", "from")
    assert [column.name for column in known["library", "user"].columns] == ["user_select", "user_from", "user_table"]
    details = known["orders", "order_details"]
    assert details.source_connection == "Trader_DB"
    assert (details.table_schema, details.table_name) == ("Sales Dept", "Order Details")
    assert [column.name for column in details.columns][3:7] == [
        "unit_price",
        "unit_price_2",
        "discount_special",
        "it_s",
    ]
    assert known["orders", "don_hang"].column("trạng thái").enum == ("mới", "xong")
    assert known["orders", "empty_table"].min_rows == 0
    assert known["late", "overdue"].key == ("loan_id",)


def test_every_guess_is_marked_and_listed(strangers: Strangers) -> None:
    listed = {(g["dataset"], g["column"], g["what"]) for g in strangers.reports["library"]["guesses"]}
    for contract in contracts.load_all(strangers.root).values():
        if contract.sector != "library":
            continue
        text = (strangers.root / contract.path).read_text(encoding="utf-8")
        assert text.count("property: guessed") == len(contract.columns) + 1  # each column's class, and the capture
        assert {(contract.dataset, column.source_name, "classification") for column in contract.columns} <= listed
        assert (contract.dataset, None, "capture") in listed


def check_staging_equals_source(strangers: Strangers) -> None:
    for contract in contracts.load_all(strangers.root).values():
        if contract.sector == "late":
            continue
        columns = [
            sql.SQL("{}::{}").format(sql.Identifier(c.source_name), sql.SQL(c.physical_type)) for c in contract.columns
        ]
        sent = copied(
            strangers.source(contract),
            sql.SQL("select {} from {}").format(
                sql.SQL(", ").join(columns), sql.Identifier(contract.table_schema, contract.table_name)
            ),
        )
        staging = sql.SQL("select {} from {} where not _deleted and not _held").format(
            sql.SQL(", ").join(sql.Identifier(c.name) for c in contract.columns),
            sql.Identifier("staging", f"stg_{contract.raw_table}"),
        )
        assert copied(connections.warehouse("transformer"), staging) == sent, contract.id
        assert sent or contract.dataset == "empty_table"


def test_what_was_onboarded_equals_its_source(released: Strangers) -> None:
    check_staging_equals_source(released)


def test_a_sector_that_was_never_loaded_is_empty(released: Strangers) -> None:
    assert copied(connections.warehouse("transformer"), sql.SQL("select * from staging.stg_late__overdue")) == []
    found = {(one["sector"], one["dataset"]): one for one in status.datasets(released.connect_to)}
    assert (found["late", "overdue"]["accepted"], found["late", "overdue"]["balanced"]) == (0, False)
    assert all(one["balanced"] for (sector, _), one in found.items() if sector != "late")


def test_only_what_was_chosen_is_shared(released: Strangers) -> None:
    with psycopg.connect(connections.warehouse("reader")) as reader:
        tables = reader.execute(
            "select table_name, array_agg(column_name::text order by ordinal_position) from information_schema.columns "
            "where table_schema = 'shared' and table_name <> all(%s) group by 1",
            [list(OWN)],
        ).fetchall()
    shown = dict(tables)
    assert set(shown) == {
        "mart_library__work",
        "mart_orders__order_details",
        "mart_library__user",
        "mart_hostile__macro_x",
    }
    assert shown["mart_library__work"] == ["work_id", "title", "issued", "mark", "keywords", "fee"]
    assert "it_s" not in shown["mart_orders__order_details"]
    names = sql.SQL(", ").join(map(sql.Identifier, shown["mart_library__work"]))
    read = sql.SQL("select {} from {}").format(names, sql.Identifier("shared", "mart_library__work"))
    assert copied(connections.warehouse("reader"), read) == copied(
        released.uris["pdic_source_library"], sql.SQL("select {} from work").format(names)
    )


def test_onboarding_again_changes_nothing_and_mends_what_is_missing(released: Strangers) -> None:
    before = released.files()
    again = released.onboard("pdic_source_library", schema="public")
    assert (again["datasets"], again["written"]) == ([], [])
    # A run that was cut off after the contracts: models and generated files are missing.
    for name in (
        "dbt_project/models/staging/library/stg_library__member.sql",
        "plugins/pdic/generated/raw/library__work.sql",
        "dbt_project/models/staging/library/_library__models.yml",
    ):
        (released.root / name).unlink()
    released.onboard("pdic_source_library", schema="public")
    assert released.files() == before


def test_a_failure_writes_nothing(strangers: Strangers) -> None:
    before = strangers.files()
    with pytest.raises(OnboardError, match="neither a primary key nor a unique index"):
        strangers.onboard("pdic_source_library", table=("public", "log_line"))
    with pytest.raises(contracts.ContractError, match="which owns the rest of the sector"):
        strangers.onboard("pdic_source_library", table=("public", "overdue"), agency="Ai khác")
    assert strangers.files() == before


def test_identifiers_and_what_a_person_classified_are_not_shared(strangers: Strangers) -> None:
    with pytest.raises(OnboardError, match="so_dinh_danh is identifier"):
        share("library", "member", ["so_dinh_danh"])


def test_a_persons_answers_stand_and_are_no_guesses(strangers: Strangers) -> None:
    def answer(dataset: str, guesses: tuple[Guess, ...]) -> dict[Guess, str] | None:
        if dataset.endswith("user"):
            return None
        said = {
            ("first_name", "classification"): "public",
            (None, "capture"): "snapshot",
        }
        return {guess: said[guess.column, guess.what] for guess in guesses if (guess.column, guess.what) in said}

    before = strangers.files()
    try:
        report = strangers.onboard("pdic_source_library", schema="public", sector="answered", confirm=answer)
        assert {"table": "public.user", "why": "not wanted"} in report["skipped"]
        creator, member = (contracts.get("answered", name) for name in ("creator", "member"))
        assert creator.source_connection == "pdic_source_library"
        assert creator.column("first_name").classification == "public"
        assert (member.capture, member.cursor_column, member.deletes) == ("snapshot", None, "none")
        text = (strangers.root / member.path).read_text(encoding="utf-8")
        assert text.count("property: guessed") == 1  # the agency, which nobody was asked about
    finally:
        for path in strangers.files().keys() - before.keys():
            (strangers.root / path).unlink()
        compile_all(strangers.root)
    assert strangers.files() == before


def test_a_release_holds_no_transaction_while_it_reads_rules(
    released: Strangers, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting: list[tuple[Any, ...]] = []
    coverage = promises.coverage_of

    def look(root: Path, contract: Contract) -> Any:
        with psycopg.connect(embedded.superuser_uri(settings.home())) as admin:
            waiting.extend(
                admin.execute(
                    "select application_name, state from pg_stat_activity "
                    "where usename = 'pdic_publisher' and xact_start is not null"
                ).fetchall()
            )
        return coverage(root, contract)

    monkeypatch.setattr(promises, "coverage_of", look)
    assert release.release(force=True, connect_to=released.connect_to)["status"] == "published"
    assert waiting == []

    def refuse(*_: Any) -> None:
        raise AssertionError("rules were read for a release that has nothing to bring")

    monkeypatch.setattr(promises, "coverage_of", refuse)
    assert release.open_release(connect_to=released.connect_to)["status"] == "unchanged"


def test_later_it_still_equals_its_source(released: Strangers) -> None:
    """Changes, deletes and keys that look alike when joined, taken in by an incremental release."""
    with psycopg.connect(released.uris["pdic_source_library"]) as library:
        library.execute(
            """
            update work set marks = array['A']::shelf_mark[], keywords = null, fee = fee + 1 where work_id % 10 = 0;
            delete from work_creator where work_id = 7;
            insert into "user" values ('a|2', '2|2', '1'), ('a', '2|2|2', null);
            delete from "user" where "from" = '3';
            update member set active = false, updated_at = clock_timestamp() where so_dinh_danh like '%7';
            """
        )
    with psycopg.connect(released.uris["Trader_DB"]) as trader:
        trader.execute(
            """
            update "Sales Dept".oddments set jb = null, c = 'y' where "values" = 1;
            delete from "Sales Dept".oddments where "values" = 2;
            insert into "Sales Dept"."Empty Table" values (1, '1 day', '{24:00+07,NULL}');
            """
        )
    reports = load.load(["library", "orders"], released.connect_to)
    assert {report["status"] for report in reports} == {"accepted"}, reports
    assert release.release(connect_to=released.connect_to)["status"] == "published"
    check_staging_equals_source(released)


def test_a_connection_is_tried_and_kept(strangers: Strangers) -> None:
    parts = urlsplit(strangers.uris["Trader_DB"])
    arguments = ["connection", "add", "Kho-2", "--host", str(parts.hostname), "--port", str(parts.port), "--json"]
    arguments += ["--database", "trader", "--user", "trader_owner"]
    wrong = CliRunner().invoke(app, arguments, input="wrong\n")
    assert isinstance(wrong.exception, PdicError)
    assert "nothing was kept" in str(wrong.exception)
    assert "Kho-2" not in connections.load(settings.home())
    right = CliRunner().invoke(app, arguments, input=f"{parts.password}\n")
    assert right.exit_code == 0, right.output
    assert "this login may write at the source" in right.output
    assert str(parts.password) not in right.output
    with psycopg.connect(connections.uri("Kho-2")) as connection:
        assert connection.execute("select current_database()").fetchone() == ("trader",)


def test_what_looks_like_a_persons_or_was_never_seen_is_not_shared_by_naming_it(strangers: Strangers) -> None:
    """The classes of columns by their values, in a table that is filled and in one that is empty."""
    with psycopg.connect(strangers.uris["pdic_source_library"]) as library:
        library.execute(
            """
            create table reader_card (card_id integer primary key, holder text, ref text, says text, papers text);
            insert into reader_card
            select
                i, 'Nguyễn Văn ' || chr(64 + i),
                '0' || (array['44', '45', '01'])[1 + i % 3] || '1' || (60 + i) || lpad((i * 7919)::text, 6, '0'),
                'sách ' || i, 'B' || (1234567 + i * 9973)
            from generate_series(1, 20) as i;
            create table waiting (id integer primary key, holder_name text, says text)
            """
        )
    before = strangers.files()
    try:
        for table in ("reader_card", "waiting"):
            strangers.onboard("pdic_source_library", table=("public", table), sector="cards", agency="Thư viện tỉnh")
        card = contracts.get("cards", "reader_card")
        found = {column.name: column.classification for column in card.columns}
        assert (found["ref"], found["papers"], found["says"]) == ("identifier", "identifier", "personal")
        with pytest.raises(OnboardError, match="ref is identifier"):
            share("cards", "reader_card", ["ref"])
        with pytest.raises(OnboardError, match="holder is not opened by naming it .*people's names"):
            share("cards", "reader_card", ["holder"])
        for column in ("holder_name", "says"):
            with pytest.raises(OnboardError, match="none of its values was looked at"):
                share("cards", "waiting", [column])
        assert share("cards", "reader_card", ["says"])["opened"] == ["says"]
    finally:
        for path in strangers.files().keys() - before.keys():
            (strangers.root / path).unlink()
        compile_all(strangers.root)
