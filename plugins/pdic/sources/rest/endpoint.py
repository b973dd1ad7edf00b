"""Where a feed is and how it is asked: an http connection, read strictly."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from pdic.errors import LoadError

Auth = Literal["none", "basic", "api_key", "oauth2"]

MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What a service may cost before it is given up: seconds, bytes of one decoded reply, tries of one request."""

    connect_seconds: float = 10
    read_seconds: float = 60
    reply_seconds: float = 120
    deadline_seconds: float = 4 * 3600
    retry_after_seconds: float = 120
    max_reply_bytes: int = 16 * MIB
    tries: int = 6


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One service: its address, how to prove who asks, whom else it may send us to, and the limits.

    ``allowed_hosts`` are the only hosts that are ever asked, the service's own included. Secrets are kept out of `repr`.
    """

    conn_id: str
    base: str
    host: str
    allowed_hosts: frozenset[str]
    auth: Auth = "none"
    login: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    api_key_header: str = "X-API-Key"
    token_url: str = ""
    scopes: str = ""
    ca_bundle: str = ""
    client_cert: str = ""
    client_key: str = ""
    allow_plain_http: bool = False
    limits: Limits = field(default_factory=Limits)

    def allows(self, url: str) -> bool:
        """Whether `url` may be asked: an allowed host, over TLS, or in the clear on this machine or where that is allowed."""
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or parts.hostname not in self.allowed_hosts:
            return False
        return parts.scheme == "https" or self.allow_plain_http or _is_loopback(parts.hostname)


_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

_EXTRAS: Final[Mapping[str, type | tuple[type, ...]]] = {
    "auth": str,
    "api_key_header": str,
    "token_url": str,
    "scopes": str,
    "ca_bundle": str,
    "client_cert": str,
    "client_key": str,
    "allowed_hosts": list,
    "allow_plain_http": bool,
    **{name: (int, float) for name in Limits.__dataclass_fields__},
}


def read_endpoint(conn_id: str, uri: str) -> Endpoint:
    """The endpoint in a connection's URI (`connections.to_uri`). Raises LoadError naming the connection, never a secret."""

    def wrong(what: str) -> LoadError:
        return LoadError(f"connection {conn_id}: {what}. Correct the connection, then load again.")

    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        raise wrong("its host or port cannot be read") from None
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise wrong("a feed needs one of conn_type http, with a host, and https or http as its schema")
    extra = _extra(parts.query)
    if extra is None:
        raise wrong("its extra is no JSON object")
    for name, value in extra.items():
        kind = _EXTRAS.get(name)
        if kind is None:
            raise wrong(f"extra has {name!r}, which is not known ({', '.join(sorted(_EXTRAS))})")
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            raise wrong(f"{name} in extra has the wrong type")
        if name in Limits.__dataclass_fields__ and value <= 0:
            raise wrong(f"{name} in extra must be above 0")
    login, password = unquote(parts.username or ""), unquote(parts.password or "")
    auth = extra.get("auth", "basic" if password else "none")
    if auth not in ("none", "basic", "api_key", "oauth2"):
        raise wrong("auth in extra must be none, basic, api_key or oauth2")
    if auth != "none" and not password:
        raise wrong(f"auth {auth} needs a password (the key, or the client's secret)")
    if auth == "api_key" and not (password.isascii() and password.isprintable()):
        raise wrong("its key holds a line end or a letter that no header can carry")
    if not _HEADER_NAME.fullmatch(extra.get("api_key_header", "X")):
        raise wrong("api_key_header in extra is no name of a header")
    if (auth == "oauth2") != bool(extra.get("token_url")):
        raise wrong("auth oauth2 needs token_url, and nothing else uses it")
    if bool(extra.get("client_cert")) != bool(extra.get("client_key")):
        raise wrong("client_cert and client_key belong together")
    for name in ("ca_bundle", "client_cert", "client_key"):
        if extra.get(name) and not Path(extra[name]).is_file():
            raise wrong(f"{name} names a file that is not there")
    hosts = extra.get("allowed_hosts", [parts.hostname])
    if not all(isinstance(host, str) and host for host in hosts):
        raise wrong("allowed_hosts must be a list of host names")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    texts = ("api_key_header", "token_url", "scopes", "ca_bundle", "client_cert", "client_key")
    endpoint = Endpoint(
        conn_id=conn_id,
        base=f"{parts.scheme}://{host}{f':{port}' if port else ''}",
        host=parts.hostname,
        allowed_hosts=frozenset(name.lower() for name in hosts),
        auth=auth,
        login=login,
        password=password,
        **{name: extra[name] for name in texts if name in extra},
        allow_plain_http=extra.get("allow_plain_http", False),
        limits=Limits(**{name: extra[name] for name in Limits.__dataclass_fields__ if name in extra}),
    )
    for url in filter(None, (endpoint.base, endpoint.token_url)):
        if not endpoint.allows(url):
            raise wrong(
                f"{urlsplit(url).hostname} is not in allowed_hosts, or would be asked without TLS: use https, or say "
                "allow_plain_http where the network between is trusted"
            )
    return endpoint


def _extra(query: str) -> dict[str, Any] | None:
    text = parse_qs(query).get("extra", ["{}"])[0]
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
