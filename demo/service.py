"""A small HTTP service that behaves like a provincial sharing platform: pages of a feed, by keyset, with a key to ask.

    GET /v1/<feed>?limit=200&<cursor parameters>     {"tongSo": records that match, "duLieu": [records]}
    POST /token                                      a bearer token by the client credentials grant
    PUT /faults    {"html": 2, "drip": 1}            the next replies go wrong in these ways

Every request but the one for a token carries the API key, or such a token.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import secrets
import ssl
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl, urlsplit

MAX_LIMIT: Final = 1000
RECORDS: Final = "duLieu"
TOTAL: Final = "tongSo"

FAULTS: Final = (
    "too_many",  # 429 with Retry-After
    "unavailable",  # 503
    "html",  # a web page with status 200
    "truncated",  # JSON that ends in its middle, with a length that fits
    "cut",  # the connection ends before the length that was announced
    "repeated",  # the page before once more
    "skipped",  # the page after the one asked for
    "shuffled",  # the page's records in another order
    "miscounted",  # a total that is too high
    "redirect",  # to another host
    "bomb",  # a small reply that decodes to a large one
    "drip",  # a byte at a time
    "unauthorized",  # 401
)


class Unavailable(Exception):
    """The records cannot be read now."""


class Feeds(Protocol):
    """Where the records are."""

    def page(self, feed: str, after: Mapping[str, str], limit: int) -> tuple[int, list[dict[str, Any]]] | None:
        """How many records follow `after`, and the first `limit` of them; None where there is no such feed.

        Raises ValueError where `after` cannot be read, Unavailable where the records cannot be for the time being.
        """


@dataclass
class Service:
    """The service while it runs: what it serves, to whom, and which faults are to come. `requests` counts what was asked.

    `ascii`: letters beyond ASCII are sent as escapes."""

    feeds: Feeds
    api_key: str
    host: str = "127.0.0.1"
    port: int = 0
    tls: ssl.SSLContext | None = None
    faults: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    tokens: set[str] = field(default_factory=set)
    drip_seconds: float = 0.2
    ascii: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._server = ThreadingHTTPServer((self.host, self.port), type("Handler", (_Handler,), {"service": self}))
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)

    def start(self) -> Service:
        """Serve from a thread, until `stop`."""
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def run(self) -> None:
        """Serve until the process ends."""
        self._server.serve_forever()

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def next_fault(self) -> str | None:
        """The fault of the next reply, one of those that are due."""
        with self._lock:
            for fault, left in self.faults.items():
                if left > 0:
                    self.faults[fault] -= 1
                    return fault
        return None


class _Handler(BaseHTTPRequestHandler):
    service: Service
    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: an address may name people, and nobody reads it."""

    def do_POST(self) -> None:
        body = self._body()
        if urlsplit(self.path).path != "/token":
            self._send(404, b"{}")
            return
        self.service.requests["token"] += 1
        given = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ") or b"").decode()
        asked = dict(parse_qsl(body.decode()))
        if not hmac.compare_digest(
            given.partition(":")[2].encode(), self.service.api_key.encode()
        ) or "client_credentials" not in (asked.get("grant_type"),):
            self._send(401, b'{"error": "invalid_client"}')
            return
        token = secrets.token_urlsafe()
        self.service.tokens.add(token)
        self._send(200, json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": 3600}).encode())

    def do_PUT(self) -> None:
        body = self._body()
        if not self._known() or urlsplit(self.path).path != "/faults":
            self._send(404, b"{}")
            return
        wanted = json.loads(body)
        if not isinstance(wanted, dict) or set(wanted) - set(FAULTS):
            self._send(400, json.dumps({"known": FAULTS}).encode())
            return
        self.service.faults.update({name: int(times) for name, times in wanted.items()})
        self._send(200, json.dumps(self.service.faults).encode())

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path == "/health":
            self._send(200, b"{}")
            return
        if not self._known():
            self._send(401, b"{}")
            return
        self.service.requests[address.path] += 1
        asked = dict(parse_qsl(address.query, keep_blank_values=True))
        try:
            limit = min(int(asked.pop("limit", "200")), MAX_LIMIT)
            found = self._page(address.path.removeprefix("/v1/"), asked, limit)
        except ValueError:
            self._send(400, b"{}")
            return
        except Unavailable:
            self._send(503, b"{}")
            return
        if found is None:
            self._send(404, b"{}")
            return
        body = json.dumps(found, ensure_ascii=self.service.ascii, separators=(",", ":")).encode()
        self._answer(body)

    def _page(self, feed: str, after: Mapping[str, str], limit: int) -> dict[str, Any] | None:
        """The page that was asked for, or one that went wrong."""
        fault = self._fault = self.service.next_fault()
        found = self.service.feeds.page(feed, after, limit)
        if found is None:
            return None
        total, records = found
        if fault == "shuffled":
            records = records[::-1]
        if fault == "repeated" and records:
            records = [records[0], *records]
        if fault == "skipped":
            first = self.service.feeds.page(feed, after, 2 * limit)
            records = first[1][limit:] if first else []
        if fault == "miscounted":
            total += 7
        return {TOTAL: total, RECORDS: records}

    def _answer(self, body: bytes) -> None:
        fault = self._fault
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        if fault == "too_many":
            self._send(429, b"{}", {"Retry-After": "1"})
        elif fault == "unavailable":
            self._send(503, b"")
        elif fault == "unauthorized":
            self.service.tokens.clear()
            self._send(401, b"{}")
        elif fault == "html":
            self._send(200, b"<!DOCTYPE html><html><body>Dang bao tri</body></html>", {"Content-Type": "text/html"})
        elif fault == "truncated":
            self._send(200, body[: len(body) * 2 // 3])
        elif fault == "cut":
            self._send(200, body[: len(body) // 2], {"Content-Length": str(len(body))})
            self.close_connection = True
        elif fault == "redirect":
            self._send(302, b"", {"Location": f"http://elsewhere.invalid{self.path}"})
        elif fault == "bomb":
            self._send(200, gzip.compress(b" " * (256 << 20), 9), {"Content-Encoding": "gzip"})
        elif fault == "drip":
            self._drip(body)
        elif self.headers.get("If-None-Match") == etag:
            self.service.requests["unchanged"] += 1
            self._send(304, b"", {"ETag": etag})
        elif "gzip" in self.headers.get("Accept-Encoding", ""):
            self._send(200, gzip.compress(body, 1), {"ETag": etag, "Content-Encoding": "gzip"})
        else:
            self._send(200, body, {"ETag": etag})

    def _known(self) -> bool:
        """Whether the request carries the API key or a token that was given out."""
        key = self.headers.get("X-API-Key", "")
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(key.encode(), self.service.api_key.encode()) or token in self.service.tokens

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        every = {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(body)), **(headers or {})}
        if status == 304:
            every.pop("Content-Length")
        for name, value in every.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _drip(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            for byte in body:
                self.wfile.write(bytes([byte]))
                time.sleep(self.service.drip_seconds)
        except OSError:
            self.close_connection = True
