"""Ask a service and get a whole reply, or a clear error: time, size, redirects, retries and credentials in one place.

No error here quotes a reply, a header or a parameter: they may hold credentials or people's data.
"""

from __future__ import annotations

import http.client
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import requests
import tenacity
import urllib3

from pdic import logins, settings, stopping
from pdic.errors import LoadError, SourceUnavailable
from pdic.sources.rest.endpoint import Endpoint
from pdic.sources.rest.reply import Reply, Transient, from_json
from pdic.sources.rest.watchdog import Watchdog

CHUNK_BYTES: Final = 1 << 16
MAX_REDIRECTS: Final = 3
FIRST_WAIT_SECONDS: Final = 0.5
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
TRY_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
ENCODINGS: Final = frozenset({"", "identity", "gzip", "deflate"})
TOKEN_SAFETY_SECONDS: Final = 30

_away: set[str] = set()
"""Services with which all tries gave no connection: until one answers, this process asks it once for each dataset."""


class Session:
    """One conversation with a service. `sleep` waits between tries (tests pass their own)."""

    def __init__(self, endpoint: Endpoint, what: str, sleep: Callable[[float], None] = stopping.pause) -> None:
        self.endpoint = endpoint
        self.what = what
        self._sleep = sleep
        self._watchdog = Watchdog()
        self._ends_at = time.monotonic() + endpoint.limits.deadline_seconds
        self._http = requests.Session()
        self._http.trust_env = False  # no proxy, netrc or CA bundle that the connection does not name
        self._http.verify = endpoint.ca_bundle or True
        if endpoint.client_cert:
            self._http.cert = (endpoint.client_cert, endpoint.client_key)
        for scheme in ("https://", "http://"):
            self._http.mount(scheme, self._watchdog.adapter())
        self._http.headers.update({"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "pdic"})
        self._token: str | None = None
        self._token_until = 0.0

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def get(
        self,
        path: str,
        parameters: Mapping[str, str],
        read: Callable[[Reply], Any],
        validators: Mapping[str, str] | None = None,
    ) -> Any:
        """Ask for `path` and return what `read` makes of the reply; a `Transient` of either is tried again.

        `validators` are headers of a conditional request. Raises SourceUnavailable where the service stays unwell, and
        LoadError where asking again cannot help (refused credentials, a foreign redirect, too large a reply).
        """
        if time.monotonic() >= self._ends_at:
            raise SourceUnavailable(
                f"{self.what}: {self.endpoint.host} did not give everything within {self.endpoint.limits.deadline_seconds:.0f} s. "
                f"Nothing was accepted; raise deadline_seconds in connection {self.endpoint.conn_id}, or load again when it is faster."
            )
        tries = 1 if self.endpoint.base in _away else self.endpoint.limits.tries
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Transient),
            stop=lambda state: state.attempt_number >= tries or self._too_late(state),
            wait=self._pause,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            found = retrying(lambda: read(self._ask(path, parameters, validators or {})))
        except Transient as error:
            if error.away:
                _away.add(self.endpoint.base)
            made = retrying.statistics.get("attempt_number", 1)
            raise SourceUnavailable(
                f"{self.what}: {self.endpoint.host} {error} (after {made} {'try' if made == 1 else 'tries'}). "
                f"Nothing was accepted; {self._remedy()}."
            ) from None
        _away.discard(self.endpoint.base)
        return found

    def _remedy(self) -> str:
        """What to do about a service that stays unwell. The demo's own is started by every command that finds it gone."""
        if self.endpoint.conn_id == logins.ONE_STOP_SOURCE and settings.read_state(settings.home(), logins.ONE_STOP):
            return "it is the demo's own service, which the next command starts again: run this one again, or `pdic up`"
        return f"see that the service is well (connection {self.endpoint.conn_id}), then load again"

    def refuse(self, problem: str, todo: str) -> LoadError:
        """The error to raise for what another try would not better."""
        return LoadError(f"{self.what}: {self.endpoint.host} {problem}. Nothing was accepted; {todo}, then load again.")

    def _ask(self, path: str, parameters: Mapping[str, str], validators: Mapping[str, str]) -> Reply:
        with self._exchange():
            response = self._send("GET", self.endpoint.base + path, params=dict(parameters), headers=dict(validators))
            if response.status_code == 401 and self.endpoint.auth == "oauth2":
                response.close()
                self._token = None  # revoked before its time: once anew, then it is refused
                response = self._send(
                    "GET", self.endpoint.base + path, params=dict(parameters), headers=dict(validators)
                )
            return self._read(response)

    @contextmanager
    def _exchange(self) -> Iterator[None]:
        """One exchange within its time; errors of the libraries become `Transient`, reduced to what kind they are."""
        stopping.check()
        seconds = min(self.endpoint.limits.reply_seconds, self._ends_at - time.monotonic())
        try:
            with self._watchdog.limit(seconds):
                yield
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            if self._watchdog.barked:
                raise Transient(f"took longer than {seconds:.0f} s for one reply") from None
            if isinstance(error, requests.exceptions.SSLError):
                todo = f"check ca_bundle, client_cert and the host's certificate (connection {self.endpoint.conn_id})"
                raise self.refuse("cannot be reached over verified TLS", todo) from None
            if isinstance(error, requests.exceptions.InvalidHeader | requests.exceptions.InvalidURL):
                todo = f"correct the key, the login or the address in connection {self.endpoint.conn_id}"
                raise self.refuse(f"cannot be asked like this ({type(error).__name__})", todo) from None
            away = isinstance(error, requests.exceptions.ConnectionError | requests.exceptions.Timeout)
            raise Transient(f"broke off ({type(error).__name__})", away=away) from None
        except (ValueError, http.client.HTTPException) as error:  # a header or an address that no library can read
            raise Transient(f"sent an answer that is no proper HTTP ({type(error).__name__})") from None
        if self._watchdog.barked:  # a body without a length looks complete when it is cut
            raise Transient(f"took longer than {seconds:.0f} s for one reply")

    def _send(self, method: str, url: str, **request: Any) -> requests.Response:
        """Send one request, following redirects on the same host only."""
        for _ in range(MAX_REDIRECTS + 1):
            if not self.endpoint.allows(url):
                raise self.refuse("led to a host or scheme that is not allowed", "extend allowed_hosts if it is right")
            response = self._http.request(
                method,
                url,
                stream=True,
                allow_redirects=False,
                timeout=(self.endpoint.limits.connect_seconds, self.endpoint.limits.read_seconds),
                auth=self._authenticate,
                **request,
            )
            if response.status_code not in REDIRECTS:
                return response
            target = urljoin(url, response.headers.get("Location", ""))
            response.close()
            if _origin(target) != _origin(url) or method != "GET":
                todo = f"set the new address in connection {self.endpoint.conn_id} if it is right"
                raise self.refuse(f"redirects to another host ({urlsplit(target).hostname})", todo)
            url, request = target, {name: value for name, value in request.items() if name != "params"}
        raise self.refuse(f"redirects more than {MAX_REDIRECTS} times", "ask its owner")

    def _read(self, response: requests.Response) -> Reply:
        with response:
            status = response.status_code
            if status in TRY_AGAIN:
                raise Transient(f"answered {status}", _retry_after(response.headers.get("Retry-After")))
            if status in (401, 403):
                todo = f"check the credentials and rights of connection {self.endpoint.conn_id}"
                raise self.refuse(f"refused the credentials ({status})", todo)
            if status not in (200, 304):
                raise self.refuse(f"answered {status}", "check the contract's physicalName and parameters")
            return Reply(
                status,
                self._body(response),
                response.headers.get("Content-Type", ""),
                response.headers.get("ETag"),
                _strong_date(response.headers),
            )

    def _body(self, response: requests.Response) -> bytes:
        """The decoded body, counted while it streams, so that a small bomb never becomes a large one here."""
        encoding = response.headers.get("Content-Encoding", "").strip().lower()
        if encoding not in ENCODINGS:
            raise self.refuse("uses a content encoding that was not asked for", "ask its owner for gzip")
        limit = self.endpoint.limits.max_reply_bytes
        chunks, size = [], 0
        for chunk in response.raw.stream(CHUNK_BYTES, decode_content=True):
            size += len(chunk)
            if size > limit:
                todo = "lower the contract's pageSize, or raise max_reply_bytes in the connection"
                raise self.refuse(f"sent more than {limit} bytes in one reply", todo)
            chunks.append(chunk)
        return b"".join(chunks)

    def _authenticate(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the credentials to a request for the service itself. (Never called for another host: see `_send`.)"""
        endpoint = self.endpoint
        if endpoint.auth == "basic":
            requests.auth.HTTPBasicAuth(endpoint.login.encode(), endpoint.password.encode())(request)
        elif endpoint.auth == "api_key":
            request.headers[endpoint.api_key_header] = endpoint.password
        elif endpoint.auth == "oauth2":
            request.headers["Authorization"] = f"Bearer {self._bearer()}"
        return request

    def _bearer(self) -> str:
        """A token by the client credentials grant (RFC 6749, 4.4), kept until shortly before it ends."""
        if self._token is None or time.monotonic() >= self._token_until:
            form = {"grant_type": "client_credentials"} | ({"scope": s} if (s := self.endpoint.scopes) else {})
            response = self._http.post(
                self.endpoint.token_url,
                data=form,
                stream=True,
                allow_redirects=False,
                timeout=(self.endpoint.limits.connect_seconds, self.endpoint.limits.read_seconds),
                auth=requests.auth.HTTPBasicAuth(self.endpoint.login.encode(), self.endpoint.password.encode()),
            )
            if response.status_code in TRY_AGAIN:
                response.close()
                raise Transient(f"has no token for us yet ({response.status_code})")
            if response.status_code != 200:
                response.close()
                todo = f"check login, password and scopes of connection {self.endpoint.conn_id}"
                raise self.refuse(f"gives us no token ({response.status_code})", todo)
            self._token, lifetime = self._token_in(response)
            self._token_until = time.monotonic() + max(lifetime - TOKEN_SAFETY_SECONDS, 0)
        return self._token

    def _token_in(self, response: requests.Response) -> tuple[str, float]:
        with response:
            body = self._body(response)
        try:
            found = from_json(body)
            token, lifetime = found["access_token"], float(found.get("expires_in", 0))
        except (ValueError, TypeError, KeyError, AttributeError):
            page = body.lstrip()[:1] == b"<"
            what = "a web page instead of a token: see token_url" if page else "a token reply that cannot be read"
            raise Transient(f"sent {what}") from None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise Transient("sent a token that cannot be used")
        return token, lifetime

    def _pause(self, state: tenacity.RetryCallState) -> float:
        """Seconds before the next try: what the service asked for, up to the cap, else doubling; both with jitter."""
        error = state.outcome.exception() if state.outcome else None
        cap = self.endpoint.limits.retry_after_seconds
        asked = error.retry_after if isinstance(error, Transient) else None
        if asked is not None:
            return float(min(asked, cap) + random.random())  # noqa: S311 (spreads clients, hides nothing)
        doubling = FIRST_WAIT_SECONDS * 2 ** (state.attempt_number - 1)
        return float(min(doubling, cap) * (0.5 + random.random() / 2))  # noqa: S311

    def _too_late(self, state: tenacity.RetryCallState) -> bool:
        """Whether the next try would begin after the load's deadline."""
        return bool(time.monotonic() + state.upcoming_sleep >= self._ends_at)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    return parts.scheme, parts.hostname, port or {"https": 443, "http": 80}.get(parts.scheme)


def _strong_date(headers: Mapping[str, str]) -> str | None:
    """The Last-Modified header where it tells one state from the next: it counts in seconds (RFC 9110, 8.8.2.2)."""
    modified = headers.get("Last-Modified")
    try:
        age = parsedate_to_datetime(headers["Date"]) - parsedate_to_datetime(headers["Last-Modified"])
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
    return modified if age.total_seconds() > 1 else None


def _retry_after(text: str | None) -> float | None:
    """Seconds to wait by a Retry-After header, given as seconds or as a date; None where it is neither."""
    if text is None:
        return None
    if text.strip().isascii() and text.strip().isdigit():
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return None
