"""What onboarding finds in tables as they really are: keys that nobody declared, tables read in part, parents and children."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pdic import connections, contracts, load, reconcile, warehouse
from pdic.errors import LoadError, OnboardError
from pdic.onboard import onboard
from pdic.onboard.cursors import Wish
from pdic.onboard.guess import NO_WISH, Draft, guess_contract
from pdic.onboard.introspect import facts, open_source
from pdic.onboard.update import update
from pdic.sources import postgres as source_tables
from pdic.sources.catalogue import read_table
from tests.conftest import Postgres

DATABASE = "la"


class Strange:
    """A database of odd tables, and a login that may read some of them."""

    def __init__(self, owner: str, reader: str) -> None:
        self.owner, self.reader = owner, reader

    def run(self, statement: str) -> None:
        with psycopg.connect(self.owner) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def draft(self, table: str, *key: str, wish: Wish = NO_WISH) -> Draft:
        with open_source(self.reader, "c") as source:
            return guess_contract(facts(source, "public", table, key), DATABASE, table, wish, must=True)

    def refusal(self, table: str, *key: str) -> str:
        with pytest.raises(OnboardError) as refusal:
            self.draft(table, *key)
        return str(refusal.value)


@pytest.fixture(scope="module")
def strange(postgres: Postgres) -> Iterator[Strange]:
    owner = postgres.create_database(DATABASE)
    reader = postgres.create_database(f"{DATABASE}_reader").removesuffix("_reader")
    made = Strange(owner, reader)
    with psycopg.connect(postgres.uri(DATABASE), autocommit=True) as admin:
        admin.execute("grant connect on database la to la_reader_owner")
        admin.execute("grant usage on schema public to la_reader_owner")
        admin.execute(
            "alter default privileges for role la_owner in schema public grant select on tables to la_reader_owner"
        )
    yield made


def why(draft: Draft, what: str) -> str:
    return next(guess.why for guess in draft.guesses if guess.column is None and guess.what == what)


KEYS = {
    # The issue's own: rows differ only together, in few of the columns.
    "versions": (
        "create table {0} (id integer, version integer, note text, at timestamptz);"
        "insert into {0} select i % 10, i / 10, case when i % 3 = 0 then 'x' end, now() from generate_series(0, 199) as i",
        ("id", "version"),
    ),
    # A column that is empty once is no key, however distinct it is; two others are.
    "once_empty": (
        "create table {0} (ma text, nhom smallint, stt smallint);"
        "insert into {0} select 'm' || i, i % 7, i / 7 from generate_series(1, 100) as i; update {0} set ma = null where ma = 'm9'",
        ("stt", "nhom"),
    ),
    # Three columns of a dozen; what looks like an id does not help.
    "three": (
        "create table {0} (id integer, a integer, b integer, c integer, d integer, e integer, f text, g text, h boolean);"
        "insert into {0} select 1, i / 100, i / 10 % 10, i % 10, i % 2, 0, 'f', 'g', true from generate_series(0, 999) as i",
        ("a", "b", "c"),
    ),
    # Five columns: found by leaving columns out of all.
    "five": (
        "create table {0} (a integer, b integer, c integer, d integer, e integer, f integer);"
        "insert into {0} select i % 2, i / 2 % 2, i / 4 % 2, i / 8 % 2, i / 16, 7 from generate_series(0, 31) as i",
        ("a", "b", "c", "d", "e"),
    ),
    # The first rows lie: only the whole table shows that `code` comes again.
    "late_double": (
        "create table {0} (code text, part integer);"
        "insert into {0} select 'c' || i, 0 from generate_series(1, 6000) as i; insert into {0} values ('c1', 1)",
        ("code", "part"),
    ),
    # A unique index that allows empty values, of which there are none now, is better than what differs by chance.
    "may_be_empty": (
        "create table {0} (so integer unique, ma text, quyen text); create unique index on {0} (ma, quyen) nulls not distinct;"
        "insert into {0} select null, 'a' || i, 'q' from generate_series(1, 20) as i",
        ("ma", "quyen"),
    ),
    # An index over some rows says nothing of the others, and one that is checked at commit holds.
    "deferred": (
        "create table {0} (id integer not null, no integer not null, constraint {0}_no unique (no) deferrable initially deferred);"
        "create unique index on {0} (id) where id > 5; insert into {0} select 1, i from generate_series(1, 9) as i",
        ("no",),
    ),
    # Equal is not identical: 2.5 and 2.50 are one key.
    "numbers": (
        "create table {0} (ma numeric, lan integer); insert into {0} values (2.5, 1), (2.50, 2), (3, 1)",
        ("ma", "lan"),
    ),
}


@pytest.mark.parametrize("name", KEYS)
def test_the_smallest_key_is_found(strange: Strange, name: str) -> None:
    statements, key = KEYS[name]
    strange.run(statements.format(f"k_{name}"))
    draft = strange.draft(f"k_{name}")
    assert set(draft.key) == set(key), why(draft, "key")
    assert all(column.required for column in draft.columns if column.source.name in draft.key)
    assert "key" in draft.guessed


OWN_KEYS = {
    # A billing system's view: all four are unique as they are now, and the first points to another table.
    "exports_applied_coupons": (
        "create table organizations (id int primary key); create table coupons (id int primary key);"
        "create table customers (id int primary key); create table applied_coupons (id int, organization_id int, coupon_id int,"
        " customer_id int, amount int); insert into applied_coupons select i, i + 1, i + 2, i + 3, i % 9 from generate_series(1, 60) as i;"
        "create view exports_applied_coupons as select organization_id, customer_id as lago_customer_id, coupon_id as lago_coupon_id,"
        " id as lago_id, amount from applied_coupons",
        ("lago_id",),
    ),
    # A hospital's: each patient came once so far.
    "admissions": (
        "create table patients (subject_id int primary key); create table admissions (subject_id int, hadm_id int, at timestamp);"
        "insert into admissions select i, 1000 - i, now() from generate_series(1, 60) as i",
        ("hadm_id",),
    ),
    # Names that run together, in Vietnamese.
    "lop": (
        "create table truong (matruong text); create table lop (matruong text, malop text, ten text);"
        "insert into lop select 't' || i, 'l' || i, 'x' from generate_series(1, 60) as i",
        ("malop",),
    ),
    # A foreign key says it outright; `ticket_no` is nothing that names would tell.
    "visits": (
        "create table seats (no int primary key); create table visits (seat_of_guest int references seats, ticket_no int, note text);"
        "insert into seats select generate_series(1, 60); insert into visits select i, 60 - i, 'x' from generate_series(1, 60) as i",
        ("ticket_no",),
    ),
    # Of unique indexes that were declared, the older one over the customer is not the order's own.
    "orders": (
        "create table orders (customer_id int not null unique, note text, orders_id int not null unique);"
        "insert into orders select i, 'x', i from generate_series(1, 60) as i",
        ("orders_id",),
    ),
    # Of two that may be empty too, and of two pairs.
    "invoices": (
        "create table invoices (customer_id int unique, code text unique);"
        "insert into invoices select i, 'c' || i from generate_series(1, 60) as i",
        ("code",),
    ),
    "memberships": (
        "create table memberships (customer_id int not null, coupon_id int not null, organization_id int not null, id int not null,"
        " unique (customer_id, coupon_id), unique (organization_id, id));"
        "insert into memberships select i, i, i, i from generate_series(1, 9) as i",
        ("organization_id", "id"),
    ),
    # References are what the key of a table between two others consists of.
    "coupons_of_customers": (
        "create table coupons_of_customers (price int, customer_id int, coupon_id int);"
        "insert into coupons_of_customers select i % 3, i / 10, i % 10 from generate_series(0, 99) as i",
        ("customer_id", "coupon_id"),
    ),
}


@pytest.mark.parametrize("table", OWN_KEYS)
def test_a_key_that_belongs_to_the_table_goes_before_one_that_points_elsewhere(strange: Strange, table: str) -> None:
    statements, key = OWN_KEYS[table]
    strange.run(statements)
    draft = strange.draft(table)
    assert set(draft.key) == set(key), why(draft, "key")


def test_a_reference_that_is_the_only_key_is_taken_with_a_warning(strange: Strange) -> None:
    strange.run(
        "create table buyers (id int primary key); create table baskets (buyer_id int, size int);"
        "insert into baskets select i, i % 9 from generate_series(1, 60) as i"
    )
    draft = strange.draft("baskets")
    assert draft.key == ("buyer_id",)
    assert "its name points to another table" in why(draft, "key")


def test_where_there_is_no_key_what_was_tried_is_said(strange: Strange) -> None:
    strange.run(
        "create table doubled (a integer, b integer, c text);"
        "insert into doubled select i % 5, i % 3, case when i > 2 then 'x' end from generate_series(1, 30) as i;"
        "create table nothing (a integer, b text); create table only_json (j json); insert into only_json values ('1');"
        "create table all_empty (a integer, b text); insert into all_empty values (1, null), (null, 'b')"
    )
    said = strange.refusal("doubled")
    assert "3 combinations of up to 2 of its 2 columns (a, b) were tried over all 30 rows" in said
    assert "c may be no part of a key, for some rows are empty there" in said
    assert "26 rows are the same as another one in every column" in said
    assert "it is empty, so there is nothing to look for one in" in strange.refusal("nothing")
    assert "of a type whose values can be compared" in strange.refusal("only_json")
    assert "none of its columns can be part of a key in all of its 2 rows" in strange.refusal("all_empty")
    assert all("--key" in strange.refusal(table) for table in ("doubled", "nothing", "all_empty"))


def test_a_key_that_somebody_names_is_held_against_the_rows(strange: Strange) -> None:
    strange.run(
        "create table named (a integer, b integer, c integer, j json);"
        "insert into named select i % 4, i % 5, case when i > 1 then i end, '1' from generate_series(1, 20) as i;"
        f"create table wide ({', '.join(f'c{i} integer' for i in range(40))}); create table unfilled (a integer, b integer)"
    )
    draft = strange.draft("named", "b", "a")
    assert (draft.key, "key" in draft.guessed) == (("b", "a"), False)
    assert "tells all 20 rows apart" in why(draft, "key")
    assert "a is no key: 20 of 20 rows have the same values there as another row" in strange.refusal("named", "a")
    assert "c is no key: 1 of 20 rows are empty" in strange.refusal("named", "c")
    assert "has no column x" in strange.refusal("named", "x")
    assert "values of j cannot be compared" in strange.refusal("named", "j", "a")
    assert "at most 32" in strange.refusal("wide", *(f"c{i}" for i in range(33)))
    unproven = strange.draft("unfilled", "a")
    assert unproven.key == ("a",)
    assert "nothing proves it yet" in why(unproven, "key")


def test_a_wide_table_is_searched_within_bounds(strange: Strange) -> None:
    columns = ", ".join(f"c{i} integer" for i in range(40))
    values = ", ".join(f"(i * {i + 3}) % {i + 2}" for i in range(40))
    strange.run(
        f"create table broad ({columns}); insert into broad select {values} from generate_series(1, 400) as i;"
        f"insert into broad select {values} from generate_series(1, 1) as i"
    )
    said = strange.refusal("broad")
    assert "2 rows are the same as another one in every column" in said
    assert "of its 14 columns" in said


def test_columns_that_may_not_be_read_are_left_out_and_the_grant_is_named(strange: Strange) -> None:
    strange.run(
        "create table partly (id integer primary key, \"Tên\" text, secret text); insert into partly values (1, 'a', 'x');"
        "revoke select on partly from la_reader_owner;"
        'grant select (id, "Tên") on partly to la_reader_owner;'
        "create table keyless (id integer primary key, ten text); insert into keyless values (1, 'a');"
        "revoke select on keyless from la_reader_owner; grant select (ten) on keyless to la_reader_owner;"
        "create table shut (id integer primary key); revoke select on shut from la_reader_owner;"
        "create schema hidden; create table hidden.inside (id integer primary key)"
    )
    draft = strange.draft("partly")
    assert [column.source.name for column in draft.columns] == ["id", "Tên"]
    assert "grant select (secret) on public.partly to la_reader_owner" in why(draft, "columns")
    assert "columns" not in draft.guessed
    assert "grant select (id) on public.keyless to la_reader_owner" in strange.refusal("keyless")
    assert "run: grant select on public.shut to la_reader_owner" in strange.refusal("shut")
    with open_source(strange.reader, "c") as source, pytest.raises(OnboardError) as refusal:
        facts(source, "hidden", "inside")
    assert "grant usage on schema hidden to la_reader_owner; grant select on hidden.inside" in str(refusal.value)


def test_what_raises_is_refused_alone_with_its_reason(strange: Strange) -> None:
    """One look goes on over tables that cannot be read; a refusal holds no value of theirs."""
    strange.run(
        "create table behind (id integer primary key, ma text); insert into behind values (1, 'a7x3');"
        "create view raising as select id, ma::integer as number from behind;"
        "create materialized view never_filled as select * from behind with no data;"
        "create table sound (id integer primary key); insert into sound values (1)"
    )
    with open_source(strange.reader, "c") as source:
        reasons = {}
        for table in ("raising", "never_filled", "sound"):
            try:
                guess_contract(facts(source, "public", table), DATABASE, table)
            except OnboardError as error:
                reasons[table] = str(error)
    assert "reading the view fails at the source (InvalidTextRepresentation)" in reasons["raising"]
    assert "a7x3" not in reasons["raising"]
    assert "run: refresh materialized view public.never_filled" in reasons["never_filled"]
    assert "sound" not in reasons


def test_a_foreign_table_that_does_not_answer_is_refused_with_its_server(strange: Strange, postgres: Postgres) -> None:
    with psycopg.connect(postgres.uri(DATABASE), autocommit=True) as admin:
        admin.execute("create foreign data wrapper nowhere; create server far foreign data wrapper nowhere")
        admin.execute("create foreign table elsewhere (id integer not null, ten text) server far")
        admin.execute("grant select on elsewhere to la_reader_owner")
    said = strange.refusal("elsewhere")
    assert "it is a foreign table, and reading it fails at the source" in said
    assert "see that server far answers" in said
    with open_source(strange.reader, "c") as source:
        table = read_table(source, "public", "elsewhere")
    assert table is not None
    assert not any(column.not_null for column in table.columns)  # what a foreign table declares, nobody checks


@pytest.mark.usefixtures("since_18")
def test_a_promise_that_was_not_checked_is_none(strange: Strange) -> None:
    """`not null … not valid` (PostgreSQL 18) lets old rows be empty: no key, and not required."""
    strange.run(
        "create table unchecked (ma text, so integer, unique (ma)); insert into unchecked values (null, 1), ('b', 2);"
        "alter table unchecked add constraint filled not null ma not valid"
    )
    draft = strange.draft("unchecked")
    assert draft.key == ("so",)
    assert {column.source.name: column.required for column in draft.columns} == {"ma": False, "so": True}


def test_a_parent_is_drafted_without_its_children(strange: Strange) -> None:
    strange.run(
        "create table parent (id integer primary key, x text); create table child (y text) inherits (parent);"
        "insert into parent values (1, 'a'), (2, 'b'); insert into child values (1, 'a', 'c'), (3, 'd', 'e')"
    )
    assert "public.child inherit from it" in why(strange.draft("parent"), "physicalType")
    assert strange.draft("child").key == ("id",)


class Loaded:
    """Drafts of the odd database written as contracts, and loads over them."""

    def __init__(self, strange: Strange, root: Path) -> None:
        self.strange, self.root = strange, root

    def connect_to(self, conn_id: str) -> str:
        return self.strange.reader if conn_id == f"pdic_source_{DATABASE}" else connections.uri(conn_id)

    def onboard(self, table: str, **options: Any) -> dict[str, Any]:
        return onboard(f"pdic_source_{DATABASE}", self.strange.reader, table=("public", table), agency="Sở", **options)

    def load(self, dataset: str) -> dict[str, Any]:
        (report,) = load.load([f"{DATABASE}.{dataset}"], self.connect_to)
        return report

    def living(self, dataset: str, columns: str) -> list[tuple[Any, ...]]:
        """The newest version of each key, as raw has it."""
        key = contracts.get(DATABASE, dataset, self.root).key[0]
        with psycopg.connect(connections.warehouse("loader")) as loader:
            return loader.execute(  # type: ignore[call-overload,no-any-return]
                f"select {columns} from (select distinct on ({key}) * from raw.{DATABASE}__{dataset} "
                f"order by {key}, _batch_id desc) as newest where _op = 'U' order by 1"
            ).fetchall()


@pytest.fixture(scope="module")
def loaded(strange: Strange, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    root = tmp_path_factory.mktemp("la")
    (root / "pyproject.toml").write_text("", encoding="utf-8")
    warehouse.migrate(connections.warehouse("admin"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PDIC_ROOT", str(root))
        yield Loaded(strange, root)


def test_rows_of_children_come_once(loaded: Loaded) -> None:
    """Parent and child are two datasets: each row is of one of them, by every load and count."""
    loaded.strange.run(
        "create table asset (id integer primary key, name text); create table vehicle (plate text) inherits (asset);"
        "insert into asset values (1, 'a'), (2, 'b'); insert into vehicle values (1, 'c', '74A'), (3, 'd', '74B')"
    )
    loaded.onboard("asset")
    remark = loaded.load("asset")["drift"]
    assert "the rows of public.vehicle, which inherits from it, are not read with it" in remark
    assert "`pdic onboard --connection" in remark and "--table public.vehicle`" in remark
    assert loaded.load("asset")["drift"] is None, "once is enough"
    compared = reconcile.one_dataset(DATABASE, "asset", loaded.connect_to)
    assert compared["drift"] is None, "a reconcile says no more than a load"
    loaded.strange.run("create table boat (name_of text) inherits (asset)")
    assert "public.boat" in loaded.load("asset")["drift"], "what is new is said"
    loaded.strange.run("drop table boat")
    loaded.onboard("vehicle")
    assert [loaded.load(name)["status"] for name in ("asset", "vehicle")] == ["accepted", "accepted"]
    loaded.strange.run("update only asset set name = 'a2' where id = 1; insert into vehicle values (4, 'e', '74C')")
    assert [loaded.load(name)["status"] for name in ("asset", "vehicle")] == ["accepted", "accepted"]
    assert loaded.living("asset", "id, name") == [(1, "a2"), (2, "b")]
    assert loaded.living("vehicle", "id, plate") == [(1, "74A"), (3, "74B"), (4, "74C")]
    assert loaded.load("asset")["drift"] is None, "what was said has been done"
    asset = contracts.get(DATABASE, "asset", loaded.root)
    assert source_tables.count_rows_of(loaded.strange.reader, [asset]) == {asset.id: 2}


def test_a_table_read_in_part_is_loaded_and_what_is_taken_away_later_is_named(loaded: Loaded) -> None:
    loaded.strange.run(
        "create table shown (id integer primary key, a text, b text); insert into shown values (1, 'x', 'y');"
        "revoke select on shown from la_reader_owner; grant select (id, a) on shown to la_reader_owner"
    )
    loaded.onboard("shown")
    assert loaded.load("shown")["drift"] == (
        "the login may not read b: where they are wanted, the source's administrator runs "
        f"`grant select (b) on public.shown to la_reader_owner`, and `pdic onboard --update {DATABASE}.shown` drafts them"
    )
    assert update(DATABASE, "shown", loaded.connect_to)["changes"] == []
    loaded.strange.run("insert into shown values (2, 'z', 'w')")
    report = loaded.load("shown")
    assert (report["status"], report["drift"]) == ("accepted", None), "once is enough"
    loaded.strange.run("grant select (b) on shown to la_reader_owner")
    assert "columns not in the contract: b " in loaded.load("shown")["drift"]
    loaded.strange.run("revoke select (b) on shown from la_reader_owner")
    assert loaded.load("shown")["drift"] is None
    assert loaded.living("shown", "id, a") == [(1, "x"), (2, "z")]
    loaded.strange.run("revoke select (a) on shown from la_reader_owner")
    report = loaded.load("shown")
    assert report["status"] == "failed"
    assert "grant select (a) on public.shown to la_reader_owner" in str(report)
    with pytest.raises(OnboardError, match=r"grant select \(a, b\) on public\.shown"):
        update(DATABASE, "shown", loaded.connect_to)


def test_a_materialized_view_that_lost_its_data_is_said_so(loaded: Loaded) -> None:
    loaded.strange.run(
        "create table facts (id integer primary key); insert into facts values (1), (2);"
        "create materialized view summed as select id from facts"
    )
    loaded.onboard("summed")
    assert loaded.load("summed")["status"] == "accepted"
    loaded.strange.run("refresh materialized view summed with no data")
    report = loaded.load("summed")
    assert "run: refresh materialized view public.summed" in str(report)
    assert loaded.living("summed", "id") == [(1,), (2,)]


STAMPED = """
create table {0} (id integer primary key, label text, "updatedAt" timestamp, seen_on date);
insert into {0} select i, 'a', case when i > 2 then now() at time zone 'Asia/Ho_Chi_Minh' end from generate_series(1, 40) as i;
"""


def test_stamps_are_offered_with_what_they_need(strange: Strange) -> None:
    """Without a time zone, perhaps empty, without an index: a person decides, and the draft says about what."""
    strange.run(STAMPED.format("offered"))
    with psycopg.connect(strange.owner, autocommit=True) as owner:
        owner.execute("analyze offered")
    draft = strange.draft("offered")
    assert (draft.capture, draft.cursor_column, "cursorColumn" in draft.guessed) == ("snapshot", None, False)
    (offer,) = draft.candidates
    assert "no time zone: --zone says whose time it is" in offer.words
    assert "every load reads the rows without a stamp again (now about 2 of 40)" in offer.words
    assert "about 40 rows" in offer.words
    assert 'create index concurrently on public.offered ("updatedAt")' in offer.words
    guess = next(guess for guess in draft.guesses if guess.what == "cursorColumn")
    assert (guess.value, guess.options) == ("none", ("none", "updatedAt"))
    zone = next(guess for guess in draft.guesses if guess.what == "cursorTimeZone")
    decided = draft.decided({guess: "updatedAt", zone: "Asia/Ho_Chi_Minh"})
    assert (decided.capture, decided.cursor_column, decided.deletes) == ("cursor", "updatedAt", "reconcile")
    assert (decided.cursor_time_zone, decided.candidates) == ("Asia/Ho_Chi_Minh", ())
    with pytest.raises(OnboardError, match="no time zone: write it like"):
        draft.decided({guess: "updatedAt", zone: "Hanoi"})


def test_a_stamp_is_guessed_where_nothing_about_it_is_in_doubt(strange: Strange) -> None:
    strange.run(
        "create table sure (id integer primary key, modifieddate timestamp not null); create index on sure (modifieddate);"
        "create table half (id integer primary key, updated_at timestamptz not null, gone boolean);"
        "create index on half (updated_at) where not gone; insert into half values (1, now(), false)"
    )
    assert strange.draft("sure").capture == "snapshot"
    said = strange.draft("sure", wish=Wish(zone="Asia/Ho_Chi_Minh"))
    assert (said.capture, said.cursor_time_zone) == ("cursor", "Asia/Ho_Chi_Minh")
    assert "no index begins with it" in strange.draft("half").candidates[0].words  # an index of some rows is none
    zoned = strange.draft("half", wish=Wish(("updated_at",), "Asia/Ho_Chi_Minh"))
    assert (zoned.cursor_column, zoned.cursor_time_zone, "capture" in zoned.guessed) == ("updated_at", None, False)


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (Wish(("updatedAt",)), "updatedAt has no time zone: say whose time is stamped with --zone"),
        (Wish(("seen_on",)), "seen_on is date, and a cursor is a timestamp"),
        (Wish(("missing",)), "has no column missing that may be read: those that look like a cursor: updatedAt"),
    ],
)
def test_a_cursor_that_cannot_be_one_is_refused(strange: Strange, wish: Wish, message: str) -> None:
    table = f"refused_{wish.columns[0].lower()}"
    strange.run(STAMPED.format(table))
    with pytest.raises(OnboardError, match=message):
        strange.draft(table, wish=wish)


def test_no_cursor_is_an_answer_too(strange: Strange) -> None:
    strange.run(STAMPED.format("unwanted"))
    draft = strange.draft("unwanted", wish=Wish(("none",)))
    assert (draft.capture, draft.candidates, draft.guessed) == ("snapshot", (), frozenset())


def test_without_a_persons_word_the_contract_is_a_snapshot_that_lists_what_could_be(loaded: Loaded) -> None:
    loaded.strange.run(STAMPED.format("listed"))
    loaded.onboard("listed")
    assert contracts.get(DATABASE, "listed", loaded.root).capture == "snapshot"
    text = (loaded.root / "contracts" / DATABASE / "listed.odcs.yaml").read_text(encoding="utf-8")
    assert "cursorCandidates" in text
    assert "updatedAt: it has no time zone" in text


@pytest.mark.parametrize("monitor", [True, False])
def test_loads_by_such_a_stamp_bring_what_changed_and_what_has_no_stamp(
    loaded: Loaded, postgres: Postgres, monitor: bool
) -> None:
    """Zoneless, partly empty, unchecked by a constraint that says otherwise, without an index: nothing is lost."""
    table = f"local_{'seen' if monitor else 'unseen'}"
    with psycopg.connect(postgres.uri(DATABASE), autocommit=True) as admin:
        admin.execute("grant pg_monitor to la_reader_owner" if monitor else "revoke pg_monitor from la_reader_owner")
    loaded.strange.run(STAMPED.format(table))
    if postgres.major >= 18:
        loaded.strange.run(f'alter table {table} add constraint filled not null "updatedAt" not valid')
    loaded.onboard(table, cursor=Wish(("updatedAt",), "Asia/Ho_Chi_Minh"))
    contract = contracts.get(DATABASE, table, loaded.root)
    assert (contract.capture, contract.cursor_time_zone) == ("cursor", "Asia/Ho_Chi_Minh")
    assert not contract.column("updatedAt").required
    assert loaded.load(table)["rows_accepted"] == 40
    loaded.strange.run(
        f"update {table} set label = 'b', \"updatedAt\" = now() at time zone 'Asia/Ho_Chi_Minh' where id in (3, 7);"
        f"alter table {table} drop constraint if exists filled; update {table} set label = 'c' where id = 2;"
        f"insert into {table} values (41, 'd', null)"
    )
    assert loaded.load(table)["status"] == "accepted"
    changed = [row for row in loaded.living(table, "id, label") if row[1] != "a"]
    assert changed == [(2, "c"), (3, "b"), (7, "b"), (41, "d")]


def test_a_view_that_begins_to_raise_is_its_agencys_to_mend(loaded: Loaded) -> None:
    """At the first load or a comparison: not a right that is missing, nothing that passes, and no value in the words."""
    loaded.strange.run(
        "create table measured (id integer primary key, ma text); insert into measured values (1, '7'), (2, '8');"
        "create view numbers as select id, ma::integer as number from measured"
    )
    loaded.onboard("numbers")
    assert loaded.load("numbers")["status"] == "accepted"
    loaded.strange.run("update measured set ma = 'a7x3' where id = 2")
    report = loaded.load("numbers")
    assert "fails at the source itself (InvalidTextRepresentation)" in str(report)
    assert "a7x3" not in str(report)
    with pytest.raises(LoadError) as refusal:
        load.extract(DATABASE, "numbers", loaded.connect_to)
    assert not refusal.value.retryable
    assert loaded.living("numbers", "id, number") == [(1, 7), (2, 8)]


@pytest.mark.parametrize("monitor", [True, False])
def test_a_cursor_over_columns_read_in_part_loses_nothing(loaded: Loaded, postgres: Postgres, monitor: bool) -> None:
    """Whose stamps are read by index, and whose rows' transactions may not be asked for: with and without `pg_monitor`."""
    table = f"some_{'seen' if monitor else 'unseen'}"
    loaded.strange.run(
        f"create table {table} (id integer primary key, a text, at timestamp not null, secret text);"
        f"insert into {table} select i, 'a', now() at time zone 'UTC', 'x' from generate_series(1, 9) as i;"
        f"revoke select on {table} from la_reader_owner; grant select (id, a, at) on {table} to la_reader_owner"
    )
    with psycopg.connect(postgres.uri(DATABASE), autocommit=True) as admin:
        admin.execute("grant pg_monitor to la_reader_owner" if monitor else "revoke pg_monitor from la_reader_owner")
    loaded.onboard(table, cursor=Wish(("at",), "UTC"))
    assert loaded.load(table)["status"] == "accepted"
    loaded.strange.run(
        f"update {table} set a = 'b', at = now() at time zone 'UTC' where id = 4;"
        f"insert into {table} values (10, 'c', now() at time zone 'UTC')"
    )
    assert loaded.load(table)["status"] == "accepted"
    assert [row for row in loaded.living(table, "id, a") if row[1] != "a"] == [(4, "b"), (10, "c")]
