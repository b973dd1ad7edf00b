"""Databases that are not UTF-8: texts arrive exactly, what cannot be read goes to quarantine by key, what has not changed is quiet."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg
import pytest

from demo.defects.texts import TCVN3, VNI
from pdic import connections, contracts, onboard, warehouse
from pdic.encodings import decoded, likeliest
from pdic.errors import OnboardError
from pdic.onboard.update import update
from pdic.sources.postgres import count_rows_of
from tests.conftest import Postgres
from tests.integration.strange_sources import StrangeSector, warehouse_rows

TEXTS = (
    "Nguyễn Văn Đức",
    "xã Hải Lăng, huyện Triệu Phong",
    "học sinh giỏi cấp tỉnh",
    "Đường Lê Lợi – phường 5",
    "plain ASCII",
    "",
    "trường mầm non Hoa Phượng",
    "Ơn nghĩa, ưu đãi, ấm áp, ỉ eo, kỵ, lũy",
)


def tcvn3(text: str) -> bytes:
    return _bytes("".join(TCVN3.get(letter, letter) for letter in text))


def vni(text: str) -> bytes:
    return _bytes("".join(VNI.get(letter, letter) for letter in text))


def windows_1258(text: str) -> bytes:
    """As Windows writes it: the letter with its hat, the tone after it."""
    found = b""
    for letter in text:
        try:
            found += letter.encode("cp1258")
        except UnicodeEncodeError:
            apart = unicodedata.normalize("NFD", letter)
            tone = next(mark for mark in apart if mark in "\u0301\u0300\u0309\u0303\u0323")
            found += unicodedata.normalize("NFC", apart.replace(tone, "")).encode("cp1258") + tone.encode("cp1258")
    return found


def _bytes(latin: str) -> bytes:
    return latin.replace("–", "\x96").encode("latin-1")


@dataclass(frozen=True)
class Old:
    """An encoding: how a text is written in it, and bytes that are none of it."""

    write: Callable[[str], bytes]
    rotten: bytes


SQL_ASCII = {
    "tcvn3": Old(tcvn3, b"r\x80ng"),
    "vni": Old(vni, b"r\xd8ng \xa9"),
    "windows-1258": Old(windows_1258, b"r\x8ang"),
    "utf-8": Old(str.encode, b"r\xe1\xba"),
}


@pytest.fixture(scope="module")
def make(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], StrangeSector]]:
    root = tmp_path_factory.mktemp("project")
    (root / "pyproject.toml").write_text("", encoding="utf-8")
    warehouse.migrate(connections.warehouse("admin"))
    made: dict[str, StrangeSector] = {}

    def database(name: str, encoding: str) -> StrangeSector:
        if name not in made:
            with psycopg.connect(postgres.uri("postgres"), autocommit=True) as admin:
                admin.execute(
                    f"create database {name} encoding '{encoding}' template template0 locale_provider libc locale 'C'"  # type: ignore[call-overload]
                )
            made[name] = StrangeSector(name, root, postgres.uri(name), postgres.uri(name))
        return made[name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PDIC_ROOT", str(root))
        yield database


def _read(text: str) -> str:
    return unicodedata.normalize("NFC", text)


COLUMNS = {"id": "bigint", "ten": "text", "ma": "character(6)", "ghi": "jsonb", "cac": "text[]", "so": "numeric"}


def _fill(sector: StrangeSector, table: str, old: Old) -> None:
    sector.run(
        f"create table {table} (id bigint primary key, ten text, ma character(6), ghi jsonb, cac text[], so numeric)"
    )
    for number, text in enumerate(TEXTS, start=1):
        value = old.write(text)
        sector.run(
            b"insert into %b values (%d, '%b', '%b', '{\"x\": \"%b\"}', array['%b', null], 1.50)"
            % (table.encode(), number, value, old.write("Đã"), value, value)
        )


@pytest.mark.parametrize("encoding", SQL_ASCII)
def test_a_database_without_an_encoding_is_read_as_its_contract_says(
    make: Callable[[str, str], StrangeSector], encoding: str
) -> None:
    old, sector = SQL_ASCII[encoding], make("khong_ma", "SQL_ASCII")
    table = "bang_" + encoding.replace("-", "_")
    _fill(sector, table, old)
    sector.run(b"insert into %b values (90, '%b', null, null, null, 2)" % (table.encode(), old.rotten))
    contract = sector.contract(table, COLUMNS, encoding=encoding)
    first = sector.accepted(table)
    assert (first["rows_extracted"], first["rows_accepted"], first["rows_quarantined"]) == (
        len(TEXTS) + 1,
        len(TEXTS),
        1,
    )
    here = sector.newest(table, "ten, ma::text, ghi ->> 'x', cac[1], so::text")
    assert [tuple(map(_read, row)) for row in here] == [(text, "Đã", text, text, "1.50") for text in TEXTS]
    held = warehouse_rows(f"select id, _reasons from quarantine.khong_ma__{table}")
    assert held == [(90, [f"{table}.ten.encoding"])]
    sector.assert_quiet(table)
    assert count_rows_of(sector.reader, [contract]) == {contract.id: len(TEXTS) + 1}
    # Mended at the source, the row comes in; another one that goes bad goes out.
    sector.run(b"update %b set ten = '%b' where id = 90" % (table.encode(), old.write("rừng")))
    sector.run(b"update %b set ten = '%b' where id = 1" % (table.encode(), old.rotten))
    again = sector.accepted(table)
    assert (again["rows_accepted"], again["rows_quarantined"]) == (1, 1)
    assert [_read(ten) for (ten,) in warehouse_rows(f"select ten from raw.khong_ma__{table} where id = 90")] == ["rừng"]


def test_names_of_tables_and_columns_are_read_too(make: Callable[[str, str], StrangeSector]) -> None:
    sector = make("khong_ma", "SQL_ASCII")
    sector.run(
        b'create table "%b" (id bigint primary key, "%b" text); insert into "%b" values (1, \'%b\')'
        % (tcvn3("học sinh"), tcvn3("họ tên"), tcvn3("học sinh"), tcvn3("Lê Thị Hồng"))
    )
    sector.run(b'comment on column "%b"."%b" is \'%b\'' % (tcvn3("học sinh"), tcvn3("họ tên"), tcvn3("đầy đủ")))
    sector.contract("hoc_sinh", {"id": "bigint", "họ tên": "text"}, table='public."học sinh"', encoding="tcvn3")
    assert sector.accepted("hoc_sinh")["rows_accepted"] == 1
    assert sector.newest("hoc_sinh", '"họ tên"') == [("Lê Thị Hồng",)]
    sector.assert_quiet("hoc_sinh")


def test_a_cursor_load_reads_it_as_well(make: Callable[[str, str], StrangeSector]) -> None:
    sector = make("khong_ma", "SQL_ASCII")
    sector.run(
        b"create table moi (id bigint primary key, ten text, luc timestamptz not null default clock_timestamp());"
        b"insert into moi (id, ten) values (1, '%b')" % vni("Trần Thị Bưởi")
    )
    columns = {"id": "bigint", "ten": "text", "luc": "timestamp with time zone"}
    sector.contract("moi", columns, encoding="vni", capture="cursor", cursorColumn="luc", deletes="reconcile")
    sector.accepted("moi")
    sector.run(b"insert into moi (id, ten) values (2, '%b')" % vni("Đỗ Ngọc Ánh"))
    sector.accepted("moi")
    assert sector.newest("moi", "ten") == [("Trần Thị Bưởi",), ("Đỗ Ngọc Ánh",)]


def test_a_cursor_may_have_a_name_beyond_ascii(make: Callable[[str, str], StrangeSector]) -> None:
    """The next loads go by it, and a partition that is attached with older rows is seen."""
    sector, name = make("khong_ma", "SQL_ASCII"), tcvn3("lúc sửa")
    sector.run(
        b'create table dot (id bigint primary key, ten text, "%b" timestamptz not null default clock_timestamp())'
        b" partition by range (id); create table dot_1 partition of dot for values from (0) to (100);"
        b"insert into dot (id, ten) values (1, '%b')" % (name, tcvn3("Bưởi"))
    )
    columns = {"id": "bigint", "ten": "text", "lúc sửa": "timestamp with time zone"}
    more = {"encoding": "tcvn3", "capture": "cursor", "cursorColumn": "lúc sửa", "deletes": "reconcile"}
    sector.contract("dot", columns, **more)
    sector.accepted("dot")
    sector.run(b"insert into dot (id, ten) values (2, '%b')" % tcvn3("Hạnh"))
    sector.accepted("dot")  # reads a row anew where its stamp is near the seam
    assert sector.newest("dot", "ten") == [("Bưởi",), ("Hạnh",)]
    sector.run(
        b'create table dot_2 (id bigint primary key, ten text, "%b" timestamptz not null);'
        b"insert into dot_2 values (100, '%b', '2020-01-01');"
        b"alter table dot attach partition dot_2 for values from (100) to (200)" % (name, tcvn3("Đào"))
    )
    assert sector.accepted("dot")["rows_accepted"] == 1
    assert sector.newest("dot", "ten") == [("Bưởi",), ("Hạnh",), ("Đào",)]


def test_without_a_word_in_the_contract_only_utf8_is_read(make: Callable[[str, str], StrangeSector]) -> None:
    sector = make("khong_ma", "SQL_ASCII")
    _fill(sector, "im_lang", SQL_ASCII["utf-8"])
    sector.contract("im_lang", COLUMNS)
    assert sector.accepted("im_lang")["rows_accepted"] == len(TEXTS)
    sector.assert_quiet("im_lang")
    for number, old in enumerate((SQL_ASCII["tcvn3"], SQL_ASCII["vni"]), start=50):
        sector.run(b"insert into im_lang (id, ten) values (%d, '%b')" % (number, old.write("Nguyễn Đức")))
        refused = sector.load("im_lang")
        assert refused["status"] == "failed"
        assert "encoding: tcvn3" in refused["message"]
        assert "Nguy" not in refused["message"]


@pytest.mark.parametrize(
    ("encoding", "texts"),
    [
        ("LATIN1", ("Été à Hué", "São Paulo ½", "plain")),
        ("WIN1258", tuple(text for text in TEXTS)),
        ("EUC_JP", ("日本語", "テスト", "plain")),
    ],
)
@pytest.mark.parametrize("rows", [20, 30_000])
def test_a_database_that_knows_its_encoding_converts_itself(
    make: Callable[[str, str], StrangeSector], encoding: str, texts: tuple[str, ...], rows: int
) -> None:
    name = f"ma_{encoding.lower()}"
    sector, table = make(name, encoding), f"bang_{rows}"
    sector.run(f"create table {table} (id bigint primary key, ten text, ma character(6), ghi jsonb, so numeric)")
    with psycopg.connect(sector.owner, client_encoding="UTF8") as connection:
        for number, text in enumerate(texts):
            # (What has no letter with its tone in this encoding is written as the encoding has it.)
            sent = windows_1258(text).decode("cp1258") if encoding == "WIN1258" else text
            connection.execute(
                f"insert into {table} select i, %s, 'ab', jsonb_build_object('x', %s::text), i + 0.5"  # type: ignore[call-overload]
                f" from generate_series(1, {rows}) as i where i %% {len(texts)} = {number}",
                (sent, sent),
            )
    sector.run(f"analyze {table}")
    sector.contract(table, {"id": "bigint", "ten": "text", "ma": "character(6)", "ghi": "jsonb", "so": "numeric"})
    assert sector.accepted(table)["rows_accepted"] == rows
    arrived = warehouse_rows(f"select id, ten, ghi ->> 'x' from raw.{name}__{table}")
    assert all(_read(ten) == _read(ghi) == texts[number % len(texts)] for number, ten, ghi in arrived)
    sector.assert_quiet(table)
    sector.run(f"update {table} set ten = 'khac' where id = 3")
    assert sector.accepted(table)["rows_accepted"] == 1


def test_an_encoding_that_the_server_contradicts_is_refused(make: Callable[[str, str], StrangeSector]) -> None:
    sector = make("ma_latin1", "LATIN1")
    sector.run("create table nham (id bigint primary key, ten text)")
    sector.contract("nham", {"id": "bigint", "ten": "text"}, encoding="tcvn3")
    refused = sector.load("nham")
    assert refused["status"] == "failed"
    assert "is LATIN1 and converts texts itself" in refused["message"]


@pytest.mark.usefixtures("make")
def test_the_warehouse_and_python_read_alike() -> None:
    for encoding, old in SQL_ASCII.items():
        values = [old.write(text) for text in TEXTS] + [old.rotten, bytes(range(0x80, 0x100)), b"a\xd9\xf8\xe2\xef"]
        for value in values:
            with psycopg.connect(connections.warehouse("loader")) as loader:
                row = loader.execute("select clean.read_as(%s, %s)", (value, encoding)).fetchone()
            assert row == (decoded(value.decode("latin-1"), encoding),)


def _onboarded(sector: StrangeSector, table: str, **options: object) -> dict[str, object]:
    return onboard.onboard(
        f"pdic_source_{sector.name}",
        sector.reader,
        table=("public", table),
        agency="Sở Thử nghiệm",
        **options,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("encoding", ["tcvn3", "vni", "windows-1258"])
def test_onboarding_reads_names_comments_and_texts_by_what_is_said(
    make: Callable[[str, str], StrangeSector], encoding: str
) -> None:
    write = SQL_ASCII[encoding].write
    sector = make(f"nhan_{encoding.replace('-', '_')}", "SQL_ASCII")
    table, column = write("học sinh"), write("họ tên")
    sector.run(b'create table "%b" ("%b" text not null unique, so int)' % (table, column))
    sector.run(b"insert into \"%b\" values ('%b', 1), ('%b', 2)" % (table, write("Lê Thị Hồng"), write("Đỗ Đức Bình")))
    sector.run(b"comment on table \"%b\" is '%b'" % (table, write("danh sách học sinh của trường")))
    with pytest.raises(OnboardError, match=f"--encoding .*, {encoding} by the looks of") as refused:
        _onboarded(sector, "học sinh")
    assert "Hồng" not in str(refused.value)
    asked: list[str] = []
    with pytest.raises(OnboardError, match="no column họ ten"):
        _onboarded(sector, "học sinh", key=["họ ten"], encoding=encoding)
    report = _onboarded(sector, "học sinh", key=["họ tên"], ask_encoding=lambda likely: asked.append(likely) or likely)
    assert asked == [encoding]
    assert report["datasets"] == [f"{sector.name}.hoc_sinh"]
    contract = contracts.get(sector.name, "hoc_sinh")
    assert (contract.encoding, contract.key_at_source) == (encoding, ("họ tên",))
    assert contract.description == "danh sách học sinh của trường"
    assert sector.accepted("hoc_sinh")["rows_accepted"] == 2
    assert sorted(_read(ten) for (ten,) in warehouse_rows(f'select "họ tên" from raw.{sector.name}__hoc_sinh')) == [
        "Lê Thị Hồng",
        "Đỗ Đức Bình",
    ]
    # What the contracts of a source say, the next one says too; a new column comes with its name as it is read.
    sector.run(b"create table khac (id int primary key, ten text); insert into khac values (1, '%b')" % write("Đã"))
    _onboarded(sector, "khac")
    assert contracts.get(sector.name, "khac").encoding == encoding
    sector.run(b'alter table "%b" add "%b" text' % (table, write("địa chỉ")))
    changed = update(sector.name, "hoc_sinh", sector.connect_to)
    assert [words.split(" is new")[0] for words in changed["changes"]] == ["column địa chỉ (text)"]
    assert contracts.get(sector.name, "hoc_sinh").column("địa chỉ").name == "dia_chi"


def test_onboarding_asks_nothing_where_nothing_is_in_doubt(make: Callable[[str, str], StrangeSector]) -> None:
    """Bytes that are UTF-8, and a server that names its encoding."""
    sector = make("nhan_utf8", "SQL_ASCII")
    sector.run("create table ro (id int primary key, ten text); insert into ro values (1, 'Đỗ Đức Bình')".encode())
    _onboarded(sector, "ro")
    assert contracts.get(sector.name, "ro").encoding is None
    named = make("ma_latin1", "LATIN1")
    named.run("create table ro (id int primary key, ten text)")
    _onboarded(named, "ro")
    assert contracts.get(named.name, "ro").encoding is None
    named.run("create table ro_rang (id int primary key, ten text)")
    with pytest.raises(OnboardError, match="is LATIN1 and converts texts itself: leave --encoding tcvn3 out"):
        _onboarded(named, "ro_rang", encoding="tcvn3")


@pytest.mark.parametrize("encoding", ["tcvn3", "vni", "windows-1258", "utf-8"])
def test_a_few_texts_tell_the_encoding(encoding: str) -> None:
    carried = [SQL_ASCII[encoding].write(text).decode("latin-1") for text in TEXTS]
    assert likeliest(carried) == encoding
    assert likeliest([*carried, "r\x80ng"]) == encoding
    assert likeliest([text.encode("cp1252").decode("latin-1") for text in ("Müller–Straße", "señor")]) == "windows-1252"


LOGGED = {
    "la_tinh_log": ("LATIN1", "é", "Été à Hué ½", "São"),
    "viet_log": ("WIN1258", "Đô", "Đường Lê Lợi ₫", "thêm ơ ư"),
}


@pytest.mark.parametrize("database", LOGGED)
def test_the_log_of_a_database_with_an_encoding_is_read_exactly(
    make: Callable[[str, str], StrangeSector], database: str
) -> None:
    """Texts and the names of columns: the copy, changes, a changed key, a text that the log leaves out because it did not change."""
    encoding, name, *texts = LOGGED[database]
    sector, columns = make(database, encoding), ("id", "ten", "dai")
    text, more = (windows_1258(text).decode("cp1258") for text in texts) if encoding == "WIN1258" else texts
    sector.run(
        f"""create table nguoi ("{name}" text primary key, id bigint, ten text, dai text);
        alter table nguoi alter column dai set storage external;
        create publication pdic_{database}__nguoi for table nguoi;
        insert into nguoi values ('{text}', 1, '{text}', repeat('{text}', 1000)), ('b', 2, '', null)"""
    )
    contract_columns = {name: "text", "id": "bigint", "ten": "text", "dai": "text"}
    sector.contract("nguoi", contract_columns, key=(name,), capture="cdc")
    assert sector.accepted("nguoi")["rows_accepted"] == 2
    sector.run(
        f"""update nguoi set ten = '{more}' where id = 1; update nguoi set "{name}" = '{more}' where id = 2;
        insert into nguoi values ('c {more}', 3, '{more}', '{text}')"""
    )
    assert sector.accepted("nguoi")["rows_accepted"] == 3
    listed = ", ".join(f'"{column}"' for column in (name, *columns))
    with psycopg.connect(sector.owner, client_encoding="UTF8") as owner:
        there = owner.execute(f"select {listed} from nguoi order by id").fetchall()  # type: ignore[call-overload]
    here = warehouse_rows(
        f"""select {listed} from (
            select distinct on ("{name}") * from raw.{database}__nguoi order by "{name}", _batch_id desc
        ) as newest where _op = 'U' order by id"""
    )
    assert here == there
    assert there[0][1:3] == (1, more)


def test_the_log_of_a_database_without_an_encoding_is_read_where_it_is_utf8_and_else_refused(
    make: Callable[[str, str], StrangeSector],
) -> None:
    sector = make("khong_ma", "SQL_ASCII")
    sector.run(
        (
            "create table log_sach (id bigint primary key, ten text); insert into log_sach values (1, 'sạch');"
            "create publication pdic_khong_ma__log_sach for table log_sach"
        ).encode()
    )
    sector.contract("log_sach", {"id": "bigint", "ten": "text"}, capture="cdc")
    assert sector.accepted("log_sach")["rows_accepted"] == 1
    sector.run("insert into log_sach values (2, 'vẫn sạch')".encode())
    assert sector.accepted("log_sach")["rows_accepted"] == 1
    sector.run(b"insert into log_sach values (3, '%b')" % SQL_ASCII["tcvn3"].write("rừng"))
    report = sector.load("log_sach")
    assert (report["status"], report["retryable"]) == ("failed", False)
    assert "holds text that is not in the encoding of its database" in report["message"]
    assert "capture: cursor or snapshot" in report["message"]
    assert warehouse_rows("select id, ten from raw.khong_ma__log_sach order by id") == [(1, "sạch"), (2, "vẫn sạch")]
    # The first copy of such a table is refused alike.
    sector.run(
        "create table log_ban (id bigint primary key, ten text);"
        "create publication pdic_khong_ma__log_ban for table log_ban"
    )
    sector.run(b"insert into log_ban values (1, '%b')" % SQL_ASCII["tcvn3"].write("rừng"))
    sector.contract("log_ban", {"id": "bigint", "ten": "text"}, capture="cdc")
    report = sector.load("log_ban")
    assert report["status"] == "failed"
    assert "capture: cursor or snapshot" in report["message"]
