"""Is this container well? `python healthy.py ROLE`: exit code 0 or 1. Standard library (and Celery), so that asking is cheap."""

from __future__ import annotations

import json
import socket
import sys
import urllib.request
from pathlib import Path

API = "http://api-server:8080/api/v2/monitor/health"
SCHEDULER = "http://localhost:8974/health"
SECONDS = 8


def reported(url: str, part: str) -> bool:
    """Does the health page at `url` call `part` healthy?"""
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:  # noqa: S310 (our own addresses)
        found = json.load(answer)
    return bool((found.get(part) or {}).get("status") == "healthy")


def answers(url: str) -> bool:
    """Does the page at `url` answer 200? (The scheduler's own page says 503 where its loop stands still.)"""
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:  # noqa: S310
        return bool(answer.status == 200)


def worker() -> bool:
    """Does this container's Celery worker answer over the broker?"""
    from celery import Celery

    name = f"celery@{socket.gethostname()}"
    app = Celery(broker=Path("/run/secrets/celery_broker").read_text(encoding="utf-8").strip())
    return any(name in reply for reply in app.control.ping(destination=[name], timeout=SECONDS))


ROLES = {
    "api-server": lambda: reported(API.replace("api-server", "localhost"), "metadatabase"),
    "scheduler": lambda: answers(SCHEDULER),
    "dag-processor": lambda: reported(API, "dag_processor"),
    "triggerer": lambda: reported(API, "triggerer"),
    "worker": worker,
    "one-stop": lambda: answers("http://localhost:8080/health"),
}

if __name__ == "__main__":
    try:
        well = ROLES[sys.argv[1]]()
    except OSError as error:
        sys.exit(f"{sys.argv[1]}: {error}")
    sys.exit(0 if well else f"{sys.argv[1]}: not healthy")
