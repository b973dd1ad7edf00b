"""Is Airflow well? Asked of its heartbeats and of its processes, never assumed; and what `up` does about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pdic import airflow_api, airflow_stack, problems, processes, settings
from pdic.errors import PdicError
from pdic.processes import Started
from tests.conftest import change_time

STARTED_AT = 1_000_000.0
"""When the database last began."""


def reported(**changes: Any) -> dict[str, Any]:
    """What Airflow says of itself, all well."""
    heard = datetime.fromtimestamp(STARTED_AT + 10, UTC).isoformat()
    parts = {
        name: {"status": "healthy", f"latest_{name}_heartbeat": heard}
        for name in ("scheduler", "triggerer", "dag_processor")
    }
    return {"metadatabase": {"status": "healthy"}, **parts} | changes


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """How a stack is said to be, by what Airflow answers and which of its processes are dead."""

    def found(answer: dict[str, Any] | None, dead: tuple[str, ...] = (), stopped: bool = False) -> dict[str, Any]:
        names = list(airflow_stack.COMPONENTS)
        recorded = {} if stopped else {name: {"pid": at, "started": 1.0} for at, name in enumerate(names, 1)}
        settings.write_state(tmp_path, "airflow", {"port": 1, "processes": recorded})
        monkeypatch.setattr(Started, "alive", lambda process: names[process.pid - 1] not in dead)
        monkeypatch.setattr(airflow_stack, "_database_started", lambda home: STARTED_AT)

        def request(*_: Any) -> dict[str, Any]:
            if answer is None:
                raise PdicError("no answer")
            return answer

        monkeypatch.setattr(airflow_api, "request", request)
        return airflow_stack.health(tmp_path)

    return found


def unwell(health: dict[str, Any]) -> dict[str, str]:
    return {name: state for name, state in health["components"].items() if state != "healthy"}


def problems_of(health: dict[str, Any]) -> list[str]:
    release = {"live": 1, "newest": []}
    found = problems.problems({"datasets": [], "unreadable": [], "slots": [], "release": release, "airflow": health})
    return [problem["what"] for problem in found]


def test_a_stack_that_is_well(stack: Callable[..., dict[str, Any]]) -> None:
    health = stack(reported())
    assert (health["running"], unwell(health), problems_of(health)) == (True, {}, [])


def test_a_part_that_is_not_heard_since_the_database_began_is_silent_though_airflow_calls_it_healthy(
    stack: Callable[..., dict[str, Any]],
) -> None:
    former = datetime.fromtimestamp(STARTED_AT - 3, UTC).isoformat()
    health = stack(reported(scheduler={"status": "healthy", "latest_scheduler_heartbeat": former}))
    assert (health["running"], unwell(health)) == (False, {"scheduler": "silent"})
    assert "scheduler: silent" in problems_of(health)[0]
    assert "run `pdic up`" in problems_of(health)[0]


@pytest.mark.parametrize(
    ("answer", "dead", "expected"),
    [
        (reported(), ("scheduler",), {"scheduler": "down"}),
        (
            reported(triggerer={"status": "unhealthy", "latest_triggerer_heartbeat": None}),
            (),
            {"triggerer": "unhealthy"},
        ),
        (None, (), dict.fromkeys(airflow_stack.COMPONENTS, "starting")),
        (None, tuple(airflow_stack.COMPONENTS), dict.fromkeys(airflow_stack.COMPONENTS, "down")),
    ],
)
def test_what_is_wrong_is_named(
    stack: Callable[..., dict[str, Any]], answer: dict[str, Any] | None, dead: tuple[str, ...], expected: dict[str, str]
) -> None:
    health = stack(answer, dead)
    assert (health["running"], unwell(health)) == (False, expected)
    assert problems_of(health)


def test_a_stack_that_was_stopped_is_nobodys_problem(stack: Callable[..., dict[str, Any]]) -> None:
    health = stack(None, stopped=True)
    assert (health["running"], health["wanted"], problems_of(health)) == (False, False, [])


class TestMending:
    """What `up` starts anew."""

    def mended(
        self, monkeypatch: pytest.MonkeyPatch, home: Path, states: list[str], old: set[str], *, gone: bool
    ) -> list[str]:
        """The parts started anew, where the scheduler is one after another of `states`, and time passes by 20 s a look."""
        clock, launched, seen = iter(range(0, 10_000, 10)), list[str](), iter(states)

        def health(_: Path) -> dict[str, Any]:
            state = next(seen)
            others = dict.fromkeys(airflow_stack.COMPONENTS, "healthy")
            return {"running": state == "healthy", "components": others | {"scheduler": state}}

        def launch(_: Path, name: str) -> Started:
            launched.append(name)
            return Started(99, 1.0)

        change_time(monkeypatch, airflow_stack, monotonic=lambda: next(clock), sleep=lambda _: None)
        monkeypatch.setattr(airflow_stack, "health", health)
        monkeypatch.setattr(airflow_stack, "_launch", launch)
        monkeypatch.setattr(airflow_stack, "_end", lambda _: True)
        monkeypatch.setattr(
            processes, "wait_gone", lambda targets, _: [] if gone and targets[0].pid == 7 else list(targets)
        )
        (home / "log").mkdir()
        (home / "log" / "scheduler.log").write_text("why\n", encoding="utf-8")
        airflow_stack._make_healthy(home, {}, {"scheduler": Started(7, 1.0)}, old)
        return launched

    def test_one_that_ends_is_started_anew_and_recorded(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        assert self.mended(monkeypatch, tmp_path, ["down", "starting", "healthy"], {"scheduler"}, gone=True) == [
            "scheduler"
        ]
        assert settings.read_state(tmp_path, "airflow")["processes"]["scheduler"]["pid"] == 99

    def test_one_that_hangs_is_started_anew(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        states = ["silent", "silent", "silent", "starting", "healthy"]
        assert self.mended(monkeypatch, tmp_path, states, {"scheduler"}, gone=False) == ["scheduler"]

    def test_one_that_recovers_by_itself_is_left(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        assert self.mended(monkeypatch, tmp_path, ["silent", "healthy"], {"scheduler"}, gone=False) == []

    def test_no_part_is_ended_because_the_api_server_says_nothing_of_it(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """A scheduler that was started anew then would start tasks that find no API server."""
        clock, launched, looks = iter(range(0, 100_000, 10)), list[str](), iter(range(100))
        parts = dict.fromkeys(airflow_stack.COMPONENTS)

        def health(_: Path) -> dict[str, Any]:
            well = next(looks) > 20 and "api-server" in launched
            return {"running": well, "components": dict.fromkeys(parts, "healthy" if well else "starting")}

        def launch(_: Path, name: str) -> Started:
            launched.append(name)
            return Started(99, 1.0)

        monkeypatch.setattr(airflow_stack, "UP_SECONDS", 100_000)
        change_time(monkeypatch, airflow_stack, monotonic=lambda: next(clock), sleep=lambda _: None)
        monkeypatch.setattr(airflow_stack, "health", health)
        monkeypatch.setattr(airflow_stack, "_launch", launch)
        monkeypatch.setattr(airflow_stack, "_end", lambda _: True)
        monkeypatch.setattr(processes, "wait_gone", lambda targets, _: list(targets))
        running = {name: Started(7, 1.0) for name in parts}
        airflow_stack._make_healthy(tmp_path, {}, running, set(running))
        assert launched == ["api-server"]

    def test_one_that_was_just_started_and_ends_is_told(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        with pytest.raises(PdicError, match="scheduler ended.*\nwhy"):
            self.mended(monkeypatch, tmp_path, ["down"], set(), gone=True)


def test_the_scheduler_starts_when_the_api_server_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tasks that it starts before would find nobody to speak with, and spend a try and its pause on that."""
    happened: list[str] = []

    def health(_: Path) -> dict[str, Any]:
        answers = happened.count("looked") >= 2
        happened.append("looked")
        parts = {name: "healthy" if answers and name in happened else "starting" for name in airflow_stack.COMPONENTS}
        return {"running": set(parts.values()) == {"healthy"}, "components": parts}

    def launch(_: Path, name: str) -> Started:
        happened.append(name)
        return Started(len(happened), 1.0)

    for module, name, instead in (
        (airflow_stack.embedded, "start", lambda _: None),
        (airflow_stack.airflow_config, "write", lambda *_: False),
        (airflow_stack, "_migrate", lambda *_: "1"),
        (airflow_stack, "_end", lambda _: False),
        (airflow_stack, "_end_unrecorded", lambda *_: False),
        (airflow_stack, "ensure_pools", lambda *_: None),
        (airflow_stack, "_api", lambda _: airflow_api.Api("http://x", "t")),
        (airflow_stack, "health", health),
        (airflow_stack, "_launch", launch),
        (processes, "wait_gone", lambda targets, _: list(targets)),
    ):
        monkeypatch.setattr(module, name, instead)
    change_time(monkeypatch, airflow_stack, sleep=lambda _: None)
    airflow_stack.up(tmp_path)
    assert happened == ["api-server", "dag-processor", "triggerer", *["looked"] * 3, "scheduler", "looked"]
