"""Contracts of feeds: what is accepted, and that every mistake is named with its field and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdic.connections import to_uri
from pdic.contracts import ContractError, get
from pdic.contracts.raw_tables import raw_tables
from pdic.errors import LoadError
from pdic.sources.rest.endpoint import read_endpoint
from tests.integration.feeds import contract_text


def write(root: Path, text: str) -> None:
    path = root / "contracts" / "cong" / "hoso.odcs.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")


def test_a_feed_is_read(tmp_path: Path) -> None:
    write(tmp_path, contract_text("hoso", page_size=200, overlap="5m"))
    contract = get("cong", "hoso", tmp_path)
    feed = contract.feed
    assert feed is not None
    assert (contract.table, contract.capture, feed.records, feed.total) == (
        "/v1/hoso",
        "feed",
        ("duLieu",),
        ("tongSo",),
    )
    assert feed.cursor == (("sauThoiGian", "ThoiGianCapNhat"), ("sauMa", "IdBanGhi"))
    assert (feed.event, feed.cancel, feed.version, feed.time) == ("SuKien", "CANCEL", "PhienBan", "ThoiGianCapNhat")
    assert '"cong__hoso__version" on raw."cong__hoso" ("IdBanGhi", "PhienBan")' in raw_tables(contract).text


@pytest.mark.parametrize(
    ("old", "new", "field", "what"),
    [
        ("physicalName: /v1/hoso", "physicalName: https://elsewhere/v1", "physicalName", "not a resource's path"),
        ("physicalName: /v1/hoso", "physicalName: /v1/../admin", "physicalName", "not a resource's path"),
        ("total: tongSo", "totals: tongSo", "feed.totals", "no such field"),
        ("total: tongSo", "total: ''", "feed.total", "not a path"),
        ("pageSize: 20", "pageSize: 0", "feed.pageSize", "no page size"),
        ("pageSizeParameter: limit", "pageSizeParameter: a&b", "pageSizeParameter", "not the name of a query parameter"),
        ("version: PhienBan", "version: HoTen", "feed.version", "name a column that is integer"),
        ("version: PhienBan", "version: Phien", "feed.version", "no column 'Phien'"),
        ("time: ThoiGianCapNhat", "time: SuKien", "feed.time", "name a column that is timestamp"),
        ("sauMa: IdBanGhi", "sauMa: HoTen", "feed.cursor.sauMa", "is personal"),
        ("sauMa: IdBanGhi", "sauMa: SoTien", "feed.cursor.sauMa", "may be empty"),
        ("cancel: CANCEL", "cancel: GONE", "feed.cancel", "no code of SuKien"),
        ("value: soft", "value: none", "feed.cancel", "only deletes: soft"),
        ("value: soft", "value: reconcile", "customProperties.deletes", "a feed says itself"),
        ("value: feed}", "value: snapshot}", "customProperties.feed", "only capture: feed uses it"),
        ("cursor: {sauThoiGian: ThoiGianCapNhat, sauMa: IdBanGhi}", "cursor: {sauMa: IdBanGhi}", "overlap", "begins with IdBanGhi"),
    ],
)  # fmt: skip
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, field: str, what: str) -> None:
    text = contract_text("hoso", overlap="5m")
    assert old in text
    write(tmp_path, text.replace(old, new, 1))
    with pytest.raises(ContractError) as caught:
        get("cong", "hoso", tmp_path)
    assert any(field in problem.field and what in problem.what + problem.todo for problem in caught.value.problems), [
        str(problem) for problem in caught.value.problems
    ]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"host": "dvc.example", "schema": "http"}, "without TLS"),
        ({"host": "dvc.example", "schema": "ftp"}, "conn_type http"),
        ({"schema": "https"}, "conn_type http"),
        ({"host": "dvc.example", "extra": {"auth": "api_key"}}, "needs a password"),
        ({"host": "dvc.example", "extra": {"client_cert": "/a"}}, "belong together"),
        ({"host": "dvc.example", "extra": {"tries": True}}, "wrong type"),
    ],
)
def test_a_wrong_connection_is_named(entry: dict[str, object], message: str) -> None:
    with pytest.raises(LoadError, match=message):
        read_endpoint("pdic_source_x", to_uri({"conn_type": "http", **entry}))


def test_a_connection_comes_out_as_it_went_in() -> None:
    entry = {"conn_type": "http", "host": "Dvc.example", "port": 8443, "login": "a b", "password": "p@:/ß"}
    keyed = read_endpoint(
        "c", to_uri({**entry, "password": "p@:/k", "extra": {"auth": "api_key", "api_key_header": "X-Khoa"}})
    )
    assert (keyed.password, keyed.api_key_header) == ("p@:/k", "X-Khoa")
    endpoint = read_endpoint("c", to_uri(entry))
    assert (endpoint.base, endpoint.login, endpoint.password) == ("https://dvc.example:8443", "a b", "p@:/ß")
    assert "p@:/ß" not in repr(endpoint)
    assert endpoint.allows("https://dvc.example/x")
    assert not endpoint.allows("http://dvc.example/x")
    assert not endpoint.allows("https://other.example/x")
    plain = read_endpoint("c", to_uri({**entry, "schema": "http", "extra": '{"allow_plain_http": true}'}))
    assert plain.allows("http://dvc.example/x")
