"""Whatever a service answers, PDIC ends with one sentence that says who and what, and quotes nothing of the answer."""

from __future__ import annotations

import gc
import gzip
import json
import re
import socketserver
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pdic.errors import LoadError, PdicError, SourceUnavailable
from pdic.sources.rest.endpoint import Endpoint, Limits, read_endpoint
from pdic.sources.rest.page import _parse
from pdic.sources.rest.reply import from_json
from pdic.sources.rest.session import Session

PERSON = "Nguyễn Thị Bí Mật"
PAGE = f"<html><form action=/login>{PERSON}</form></html>"


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


class Service:
    """A server that sends bytes as they are: the answer to each path, and to the token's."""

    def __init__(self, port: int = 0) -> None:
        self.answers: dict[str, bytes] = {}
        service = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                path = self.rfile.readline().split(b" ")[1].decode().partition("?")[0]
                length = 0
                while (line := self.rfile.readline().strip()) != b"":
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                self.rfile.read(length)
                self.wfile.write(service.answers[path])

        self._server = _Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self.base = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def ask(self, **more: Any) -> Any:
        """What PDIC reads at /v1/things."""
        endpoint = Endpoint(
            conn_id="pdic_source_cong",
            base=self.base,
            host="127.0.0.1",
            allowed_hosts=frozenset({"127.0.0.1"}),
            limits=Limits(tries=2, reply_seconds=20, read_seconds=10),
            **more,
        )
        session = Session(endpoint, "cong.things", sleep=lambda _: None)
        try:
            return session.get("/v1/things", {}, _parse)
        finally:
            session.close()


@pytest.fixture(scope="module")
def module_service() -> Iterator[Service]:
    service = Service()
    yield service
    service.close()


@pytest.fixture
def service(module_service: Service) -> Service:
    module_service.answers = {
        "/v1/things": answer(b'{"tongSo": 0, "duLieu": []}'),
        "/login": answer(PAGE.encode(), type_="text/html"),
    }
    return module_service


def answer(
    body: bytes, status: str = "200 OK", type_: str = "application/json", length: int | None = None, *more: bytes
) -> bytes:
    """One whole HTTP answer."""
    lines = [
        f"HTTP/1.1 {status}".encode(),
        b"Content-Type: " + type_.encode(),
        b"Content-Length: " + str(len(body) if length is None else length).encode(),
        b"Connection: close",
        *more,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def header(*lines: bytes, status: str = "302 Found") -> bytes:
    return answer(b"", status, "text/html", None, *lines)


GZIP = b"Content-Encoding: gzip"
SOUND = json.dumps({"tongSo": 1, "duLieu": [{"HoTen": PERSON}]}, ensure_ascii=False)

STRANGE = {
    "a login page with 200": (answer(PAGE.encode(), type_="text/html"), "web page instead of data"),
    "a login page that says it is JSON": (answer(PAGE.encode()), "web page instead of data"),
    "a redirect to a login page": (header(b"Location: /login"), "web page instead of data"),
    "a redirect to another host": (header(b"Location: https://sso.tinh.gov.vn/?next=1"), "redirects to another host"),
    "a redirect that is no address": (header(b"Location: http://[bad"), "no proper HTTP"),
    "a redirect that is no text": (header(b"Location: http://\xe9\xe8:99999/"), "cannot|redirects|no proper|allowed"),
    "a redirect to itself": (header(b"Location: /v1/things"), "redirects more than"),
    "a refusal in latin-1": (answer("accès refusé".encode("latin-1"), "401 Non autorisé", "text/plain"), "refused the credentials"),
    "a refusal in another encoding": (answer(PERSON.encode("utf-16"), "403 No", "text/plain"), "refused the credentials"),
    "data in latin-1": (answer('{"é": 1}'.encode("latin-1")), "not in UTF-8"),
    "data in another encoding": (answer('{"ăđ": 1}'.encode("cp1258")), "not in UTF-8"),
    "no data": (answer(b""), "empty reply"),
    "data that are cut": (answer(SOUND.encode()[:-9]), "cut off or broken"),
    "fewer bytes than promised": (answer(SOUND.encode(), length=9_999), "broke off"),
    "NaN": (answer(b'{"tongSo": NaN}'), "cut off or broken"),
    "very deep JSON": (answer(b"[" * 200_000), "cut off or broken"),
    "a number of 5,000 digits": (answer(b"9" * 5_000), "cut off or broken"),
    "compressed garbage": (answer(b"\x1f\x8b garbage", "200 OK", "application/json", None, GZIP), "broke off"),
    "compressed and cut": (answer(gzip.compress(SOUND.encode())[:-12], "200 OK", "application/json", None, GZIP), "cut off|broke off"),
    "another compression": (answer(b"{}", "200 OK", "a/b", None, b"Content-Encoding: br"), "encoding that was not asked for"),
    "an unknown status": (answer(b"", "299 Hm"), "answered 299"),
    "no HTTP at all": (b"SSH-2.0-OpenSSH_9.6\r\n", "broke off"),
    "nothing": (b"", "broke off"),
    "a header without an end": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, "broke off"),
    "too many headers": (answer(b"{}", "200 OK", "a/b", None, *[b"X: y"] * 200), "broke off"),
    "a wait that is no number": (header("Retry-After: ²".encode(), status="503 Later"), "answered 503"),
    "a wait until the year 99999": (header(b"Retry-After: Fri, 31 Dec 99999 23:59:59 GMT", status="429 Later"), "answered 429"),
    "a wait that is no date": (header(b"Retry-After: Feb 30 morning", status="503 Later"), "answered 503"),
}  # fmt: skip


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_answer_is_one_sentence(service: Service, name: str) -> None:
    service.answers["/v1/things"], expected = STRANGE[name]
    with pytest.raises(PdicError) as refused:
        service.ask()
    refuses(refused.value, expected)


def refuses(error: PdicError, expected: str) -> None:
    said = str(error)
    assert re.search(expected, said), said
    assert said.startswith("cong.things: 127.0.0.1 ")
    assert "Nothing was accepted" in said
    for part in (PERSON, "Nguy", "login>", "accès", "Traceback"):
        assert part not in said
    assert "\n" not in said
    assert error.__cause__ is None


def test_what_is_finalized_meanwhile_does_not_fail_at_the_bottom_of_deep_json(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The collector runs after so many new objects: each bound puts it at another depth of the nesting."""
    failed: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", failed.append)

    class Garbage:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            def deep(more: int) -> None:
                if more:
                    deep(more - 1)

            deep(200)

    usual = gc.get_threshold()
    try:
        for bound in range(50, 1_000, 50):
            gc.collect()
            Garbage()
            gc.set_threshold(bound)
            with pytest.raises(ValueError, match="too deep"):
                from_json("[" * 200_000)
    finally:
        gc.set_threshold(*usual)
    gc.collect()
    assert gc.isenabled()
    assert failed == []


TOKENS = {
    "a login page": (answer(PAGE.encode(), type_="text/html"), "web page instead of a token"),
    "a redirect to a login page": (header(b"Location: /login"), "gives us no token .302"),
    "a refusal in latin-1": (answer("refusé".encode("latin-1"), "401 Non"), "gives us no token .401"),
    "latin-1": (answer('{"access_token": "é"}'.encode("latin-1")), "token reply that cannot be read"),
    "another shape": (answer(b'["a"]'), "token reply that cannot be read"),
    "a token that is no text": (answer(b'{"access_token": {"a": 1}}'), "token that cannot be used"),
    "a token that adds a header": (answer(b'{"access_token": "a\\r\\nX-Admin: 1"}'), "token that cannot be used"),
    "a token no header can carry": (answer('{"access_token": "kóa"}'.encode()), "token that cannot be used"),
    "a lifetime that is no number": (answer(b'{"access_token": "a", "expires_in": "soon"}'), "token reply that cannot be read"),
    "very deep JSON": (answer(b"[" * 200_000), "token reply that cannot be read"),
    "compressed garbage": (answer(b"\x1f\x8b garbage", "200 OK", "application/json", None, GZIP), "broke off"),
}  # fmt: skip


@pytest.mark.parametrize("name", TOKENS)
def test_a_strange_answer_at_login_is_one_sentence(service: Service, name: str) -> None:
    service.answers["/token"], expected = TOKENS[name]
    with pytest.raises(PdicError) as refused:
        service.ask(auth="oauth2", login="pdic", password="s", token_url=f"{service.base}/token")
    refuses(refused.value, expected)


def test_a_refusal_is_not_tried_again_and_an_outage_is(service: Service) -> None:
    service.answers["/v1/things"] = STRANGE["a refusal in latin-1"][0]
    with pytest.raises(LoadError):
        service.ask()
    assert not LoadError.retryable
    service.answers["/v1/things"] = STRANGE["a login page with 200"][0]
    with pytest.raises(SourceUnavailable):
        service.ask()


@pytest.mark.parametrize(
    ("key", "extra"),
    [("a\r\nX-Admin: 1", {}), ("khóa bí mật", {}), ("s3cr3t", {"api_key_header": "X-Key: 1\r\nY"})],
)
def test_a_key_cannot_add_a_header(key: str, extra: dict[str, str]) -> None:
    from pdic import connections

    entry = {"conn_type": "http", "host": "dvc.example", "login": "pdic", "password": key}
    uri = connections.to_uri({**entry, "extra": {"auth": "api_key", **extra}})
    with pytest.raises(LoadError, match="connection pdic_source_cong: (its key holds|api_key_header)") as refused:
        read_endpoint("pdic_source_cong", uri)
    assert key not in str(refused.value)


@pytest.mark.parametrize("password", ["mật khẩu", "a\r\nX-Admin: 1"])
def test_any_password_can_be_sent(service: Service, password: str) -> None:
    assert service.ask(auth="basic", login="người dùng", password=password)[1] == {"tongSo": 0, "duLieu": []}


def waits(base: str, tries: int = 5) -> list[float]:
    """For how long PDIC waits between its tries at a service that does not come."""
    limits = Limits(tries=tries, reply_seconds=20, read_seconds=10, connect_seconds=2)
    endpoint = Endpoint("pdic_source_cong", base, "127.0.0.1", frozenset({"127.0.0.1"}), limits=limits)
    waited: list[float] = []
    session = Session(endpoint, "cong.things", sleep=waited.append)
    with pytest.raises(SourceUnavailable):
        session.get("/v1/things", {}, _parse)
    session.close()
    return waited


def test_the_feeds_of_a_service_that_is_away_wait_for_it_once(service: Service, dead_port: int) -> None:
    base = f"http://127.0.0.1:{dead_port}"
    assert len(waits(base)) == 4
    assert [waits(base) for _ in range(20)] == [[]] * 20
    # One that answers, if badly, is not away: each feed may be well for itself.
    service.answers["/v1/things"] = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
    assert [len(waits(service.base)) for _ in range(3)] == [4, 4, 4]


def test_a_service_that_came_back_is_waited_for_again() -> None:
    first = Service()
    first.answers["/v1/things"] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    port = first.port
    first.close()
    assert len(waits(first.base)) == 4
    assert waits(first.base) == []
    again = Service(port)
    again.answers = first.answers
    assert again.ask() == ("{}", {})
    again.close()
    assert len(waits(first.base)) == 4
