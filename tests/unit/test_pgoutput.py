"""The log's messages, byte by byte as the protocol's description lays them out, and the COPY rows made of them."""

from __future__ import annotations

import struct
from datetime import timedelta
from pathlib import Path

import pytest

from pdic.contracts import Column, Contract
from pdic.sources.cdc import lsn, pgoutput
from pdic.sources.cdc.pgoutput import NULL, UNCHANGED, NotPgoutput
from pdic.sources.cdc.rows import IncompleteKey, Rows

TABLE = 16_385


def value(content: bytes | None) -> bytes:
    return b"n" if content is None else b"b" + struct.pack("!i", len(content)) + content


def row(*values: bytes | None) -> bytes:
    return struct.pack("!h", len(values)) + b"".join(b"u" if v == b"<u>" else value(v) for v in values)


def field(content: bytes) -> bytes:
    return struct.pack("!i", len(content)) + content


def insert(*values: bytes | None) -> bytes:
    return b"I" + struct.pack("!I", TABLE) + b"N" + row(*values)


def update(new: bytes, old: bytes = b"", kind: bytes = b"") -> bytes:
    return b"U" + struct.pack("!I", TABLE) + kind + old + b"N" + new


def relation(*columns: str, identity: tuple[str, ...] = ("id",)) -> bytes:
    described = b"".join(
        bytes([name in identity]) + name.encode() + b"\0" + struct.pack("!Ii", 25, -1) for name in columns
    )
    return b"R" + struct.pack("!I", TABLE) + b"public\0t\0d" + struct.pack("!h", len(columns)) + described


def contract(*columns: str, key: tuple[str, ...] = ("id",)) -> Contract:
    return Contract(
        id="s.t", sector="s", dataset="t", entity="t", version="1.0.0", status="active", title="t", description="t",
        description_en="t", owner_agency="t", table="public.t", capture="cdc", cursor_column=None, deletes="none",
        soft_delete_column=None, overlap=timedelta(), cadence="0 1 * * *", freshness=timedelta(hours=1), min_rows=0,
        key=key, path=Path("t"),
        columns=tuple(
            Column(name=name, source_name=name, physical_type="text", classification="internal", description_vi="", description_en="")
            for name in columns
        ),
    )  # fmt: skip


def copied(data: bytes) -> list[tuple[int, str, bool, list[bytes | None]]]:
    """Binary COPY rows as (sequence, op, whole, values)."""
    rows, at = [], 0
    while at < len(data):
        (count,) = struct.unpack_from("!h", data, at)
        at += 2
        values: list[bytes | None] = []
        for _ in range(count):
            (length,) = struct.unpack_from("!i", data, at)
            at += 4
            values.append(None if length < 0 else data[at : at + length])
            at += max(length, 0)
        sequence, op, whole = values[:3]
        assert sequence is not None and op is not None
        rows.append((int.from_bytes(sequence), op.decode(), whole == b"\x01", values[3:]))
    return rows


def rows_of(message: bytes, columns: tuple[str, ...] = ("id", "a"), at_source: tuple[str, ...] | None = None) -> bytes:
    shape = pgoutput.relation(relation(*(at_source or columns)))
    return Rows(contract(*columns), shape).of(pgoutput.change(message), 41)[0]


@pytest.mark.parametrize("text", ["0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF", "1/A"])
def test_positions_are_read_and_written(text: str) -> None:
    assert lsn.written(lsn.number(text)) == text


def test_a_begin_says_where_its_transaction_commits() -> None:
    assert pgoutput.commit_lsn(b"B" + struct.pack("!QqI", 0x16_0000_0001, 0, 7)) == 0x16_0000_0001


def test_a_relation_is_read() -> None:
    read = pgoutput.relation(relation("id", "Nhãn X", identity=("id",)))
    assert (read.relation_id, read.schema, read.name) == (TABLE, "public", "t")
    assert [(c.name, c.in_identity, c.type_oid, c.type_modifier) for c in read.columns] == [
        ("id", True, 25, -1),
        ("Nhãn X", False, 25, -1),
    ]


def test_the_tables_of_a_truncate_are_read() -> None:
    assert pgoutput.truncated(b"T" + struct.pack("!iBII", 2, 0, TABLE, 9)) == {TABLE, 9}


def test_values_keep_their_bytes() -> None:
    read = pgoutput.change(insert(b"\x00\xff", None, b"", b"<u>", b"x" * 70_000))
    assert read.new == [field(b"\x00\xff"), NULL, field(b""), UNCHANGED, field(b"x" * 70_000)]
    assert read.old is None


def test_old_rows_are_told_apart() -> None:
    by_key = pgoutput.change(update(row(b"2", b"a"), row(b"1", None), b"K"))
    assert (by_key.old, by_key.old_is_whole) == ([field(b"1"), NULL], False)
    whole = pgoutput.change(b"D" + struct.pack("!I", TABLE) + b"O" + row(b"1", b"a"))
    assert (whole.old, whole.old_is_whole, whole.new) == ([field(b"1"), field(b"a")], True, None)


@pytest.mark.parametrize("message", [insert(b"1", b"abc"), update(row(b"2", b"a"), row(b"1", None), b"K")])
def test_what_is_cut_short_is_refused(message: bytes) -> None:
    """Wherever a message ends too early, and where it goes on too long: never a row."""
    for length in range(5, len(message)):
        with pytest.raises(NotPgoutput):
            pgoutput.change(message[:length])
    with pytest.raises(NotPgoutput):
        pgoutput.change(message + b"\0")


def test_other_messages_are_no_changes() -> None:
    with pytest.raises(NotPgoutput):
        pgoutput.change(b"M" + insert(b"1")[1:])


def test_a_relation_that_is_cut_short_is_refused() -> None:
    message = relation("id", "a")
    for length in range(5, len(message)):
        with pytest.raises(NotPgoutput):
            pgoutput.relation(message[:length])


def test_an_insert_becomes_a_row() -> None:
    assert copied(rows_of(insert(b"1", None))) == [(42, "U", True, [b"1", None])]


def test_columns_come_in_the_contracts_order() -> None:
    made = rows_of(insert(b"new", b"A", b"1"), ("id", "a"), ("added", "a", "id"))
    assert copied(made) == [(42, "U", True, [b"1", b"A"])]


def test_a_delete_becomes_a_tombstone_of_its_key() -> None:
    gone = b"D" + struct.pack("!I", TABLE) + b"O" + row(b"1", b"secret")
    assert copied(rows_of(gone)) == [(41, "D", True, [b"1", None])]


def test_a_moved_key_leaves_a_tombstone_before_the_row() -> None:
    assert copied(rows_of(update(row(b"2", b"a"), row(b"1", None), b"K"))) == [
        (41, "D", True, [b"1", None]),
        (42, "U", True, [b"2", b"a"]),
    ]


def test_a_key_that_did_not_move_leaves_none() -> None:
    assert [op for _, op, _, _ in copied(rows_of(update(row(b"1", b"b"), row(b"1", b"a"), b"O")))] == ["U"]


def test_a_value_left_alone_is_taken_from_the_old_row() -> None:
    assert copied(rows_of(update(row(b"1", b"<u>"), row(b"1", b"large"), b"O"))) == [(42, "U", True, [b"1", b"large"])]


def test_a_value_nobody_sent_makes_the_row_not_whole() -> None:
    """An old key row says null of everything else: that is no value."""
    assert copied(rows_of(update(row(b"2", b"<u>"), row(b"1", None), b"K"))) == [
        (41, "D", True, [b"1", None]),
        (42, "U", False, [b"2", None]),
    ]


def test_a_large_key_left_alone_is_taken_from_the_old_key() -> None:
    assert copied(rows_of(update(row(b"<u>", b"a"), row(b"k" * 3000, None), b"K"))) == [
        (42, "U", True, [b"k" * 3000, b"a"])
    ]


@pytest.mark.parametrize(
    "message",
    [
        b"D" + struct.pack("!I", TABLE) + b"K" + row(None, b"a"),
        update(row(b"2", b"a"), row(None, b"a"), b"K"),
        update(row(b"<u>", b"a")),
    ],
)
def test_a_change_without_its_key_is_refused(message: bytes) -> None:
    with pytest.raises(IncompleteKey):
        rows_of(message)
