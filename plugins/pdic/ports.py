"""Free TCP ports of this machine."""

from __future__ import annotations

import random
import socket

from pdic.errors import PdicError

HOST = "127.0.0.1"
RANGE = range(20000, 32000)  # below the range from which systems take the ports of outgoing connections


def keep_or_find(port: object) -> int:
    """`port`, where it is one and free, else a free one. Raises PdicError where there is none."""
    if isinstance(port, int) and is_free(port):
        return port
    for candidate in random.sample(RANGE, 200):
        if is_free(candidate):
            return candidate
    raise PdicError(f"no free port between {RANGE.start} and {RANGE.stop} on {HOST}")


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
