"""Kill any process at any moment over load, release, reconcile and rollback: `make test-kills KILLS=100 SEED=7`.

Fault: SIGKILL of the command, of a process that it started, of one of PostgreSQL's processes (the first one, or another), or of the
one-stop service, at a random moment of a command. Some releases are hit when their candidate has passed the audit: they publish then.

After each kill: what a person sees holds no traceback, the command ends within a minute, and what it prints with --json can be
read; readers see a whole release, of which each table has the checksum that it had. After every few kills all commands are
run undisturbed and must succeed; then nothing is left of what was killed: no lock, session, open batch or release, table or file that
nobody needs, and no process; and `pdic release verify` finds nothing wrong. Then a day passes at the sources. At the end the shared
tables, and the rows that stand in staging, have the checksums of a home in which nothing was ever killed.
"""

from __future__ import annotations

import json
import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import psutil
import psycopg
import pytest

from pdic import embedded, processes
from pdic.errors import PdicError
from tests.faults.commands import Forked, Home, import_all
from tests.faults.small_project import small_project

pytestmark = [pytest.mark.kills, pytest.mark.timeout(0)]

KILLS = int(os.environ.get("KILLS") or 100)
SEED = int(os.environ.get("SEED") or 7)
CITIZENS = 500
DATASETS = ("investment", "one_stop", "civil_registry.noi_dang_ky")
KILLS_A_DAY = 5
"""After so many kills everything is run undisturbed, and a day passes at the sources, so that loads have something to bring."""
LONGEST_WAIT_S = 60.0
COMMANDS = {
    "load": ["load"],
    "release": ["release", "--force"],
    "publish": ["release", "--force"],  # killed when it begins to publish
    "reconcile": ["reconcile"],
    "rollback": ["rollback"],
    "resume": ["release", "resume"],
}
HOW_OFTEN = {"load": 6, "release": 6, "publish": 2, "reconcile": 5, "rollback": 1, "resume": 1}
VICTIMS = {"command": 3, "child": 2, "backend": 3, "postmaster": 2, "service": 2}


@dataclass
class Kill:
    """One kill: of what, under which command, and how many seconds the command then made a person wait beyond its usual time."""

    victim: str
    name: str
    moment: float
    waited: float = 0.0
    code: int | None = None
    said: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        said = "".join(f"\n      {text}" for text in self.said)
        return f"{self.victim} under {self.name} after {self.moment:.1f} s: exit code {self.code}, {self.waited:+.1f} s{said}"


class Killer:
    """Kills something while a command runs over a home, and holds what follows against the promises."""

    def __init__(self, home: Home, rng: random.Random) -> None:
        self.home = home
        self.usual: dict[str, float] = {}
        self._rng = rng
        self._seen: dict[int, dict[str, str]] = {}

    def calm(self) -> None:
        """Every command, undisturbed. Nothing is left of what was killed."""
        self.look()
        self.home.run("release", "resume")  # a rollback that was killed may have kept releases from going out
        for name, words in COMMANDS.items():
            if name in ("publish", "rollback", "resume"):
                continue
            began = monotonic()
            self.home.run(*words)
            self.usual[name] = monotonic() - began
        began = monotonic()
        self.home.run("rollback")
        self.usual["rollback"] = monotonic() - began
        began = monotonic()
        self.home.run(*COMMANDS["resume"])
        self.usual["resume"] = monotonic() - began
        self.home.run(*COMMANDS["release"])  # from which a rollback that is killed may go back
        self.usual["publish"] = self.usual["release"]
        assert list(left_over(self.home)) == []
        assert self.home.run("release", "verify")["wrong"] == []
        self.look()

    def look(self) -> None:
        """Readers see a whole release. What they see of it is what they saw."""
        status = self.home.run("status", "--checksums", codes=(0, 1))
        live = status["release"]["live"]
        assert live is not None, status["release"]
        seen = {table["table"]: table["checksum"] for table in status["shared"]}
        assert self._seen.setdefault(live, seen) == seen, f"release {live} is not what it was"

    def strike(self) -> Kill | None:
        """Starts a command and kills something; None where the command had ended before."""
        name = self._rng.choices(list(HOW_OFTEN), list(HOW_OFTEN.values()))[0]
        if name in ("release", "publish"):
            self.home.run(*COMMANDS["resume"])  # or nothing would be published after a rollback
        command = self.home.start(*COMMANDS[name])
        if not self._wait_for_moment(name, command):
            return None
        found = self._victims(command)
        kinds = [kind for kind in VICTIMS if found.get(kind)]
        kind = self._rng.choices(kinds, [VICTIMS[each] for each in kinds])[0]
        kill = Kill(kind, name, command.seconds)
        for_what_is_left = max(0.0, self.usual[name] - command.seconds)
        try:
            os.kill(self._rng.choice(found[kind]), signal.SIGKILL)
        except ProcessLookupError:
            command.wait()
            return None
        killed = monotonic()
        assert command.wait(for_what_is_left + 10 * LONGEST_WAIT_S), (kill, "it does not end", command)
        if kind == "command" and command.code in (0, 1):
            return None  # it had just ended, and nobody had asked for its exit code yet: the signal met nobody
        kill.waited, kill.code = monotonic() - killed - for_what_is_left, command.code
        self._judge(kill, command)
        if name in ("release", "publish", "rollback", "resume"):
            self.look()
        return kill

    def _judge(self, kill: Kill, command: Forked) -> None:
        assert "Traceback" not in command.out + command.err, f"{kill}: {command}"
        assert kill.waited <= LONGEST_WAIT_S, f"{kill}: {command}"
        if kill.victim == "command":
            assert command.code == -signal.SIGKILL, f"{kill}: {command}"
            return
        assert command.code in (0, 1), f"{kill}: {command}"
        kill.said = sorted(set(messages(json.loads(command.out))))
        assert bool(kill.said) >= bool(command.code), f"{kill}: nothing says what went wrong: {command}"
        assert not any("\n" in text for text in kill.said), f"{kill}: not a sentence: {command}"

    def _wait_for_moment(self, name: str, command: Forked) -> bool:
        """Waits for a random moment of a command; returns whether it still runs."""
        if name != "publish":
            return not command.wait(self._rng.uniform(0, self.usual[name]))
        while not command.wait(0.02):
            try:
                ((status,),) = self.home.query("select status from control.release order by release_id desc limit 1")
            except (psycopg.Error, PdicError):
                continue
            if status == "audited":
                return not command.wait(self._rng.uniform(0, 0.3))
        return False

    def _victims(self, command: Forked) -> dict[str, list[int]]:
        """The processes that are there to be killed, by kind."""
        found: dict[str, list[int]] = {"command": [command.pid]}
        apart: set[int] = set()
        if (server := embedded.status(self.home.path)) is not None:
            found["postmaster"] = [server.pid]
            found["backend"] = [process.pid for process in psutil.Process(server.pid).children()]
            apart |= {server.pid, *found["backend"]}
        if (service := self.home.service()) is not None:
            found["service"] = [service.pid]
            apart.add(service.pid)
        children = {process.pid for process in psutil.Process(command.pid).children(recursive=True)}
        found["child"] = sorted(children - apart)
        return found


def messages(report: Any) -> Iterator[str]:
    """What a command's report says of what went wrong."""
    if isinstance(report, list):
        for each in report:
            if each.get("status") not in ("accepted", "superseded"):
                yield each.get("message") or "(no message)"
    elif report.get("error") or report.get("message"):
        yield report.get("error") or report["message"]


def left_over(home: Home) -> Iterator[str]:
    """What nobody holds or needs when no command runs, in words."""
    for kind, statement in LEFT_OVER.items():
        for row in home.query(statement):
            yield f"{kind}: {row}"
    for folder in (home.path, home.temporary):
        for path in folder.rglob("*"):
            hidden = path.name.startswith(".") or path.name in ("run_results.json", "dbt.log", "pgdata.init")
            if "pgdata" not in path.relative_to(folder).parts and (hidden or folder == home.temporary):
                yield f"file: {path}"
    server, service = embedded.status(home.path), home.service()
    assert server is not None
    postgres = {process.pid for process in processes.working_in(str(home.path / "pgdata"), "postgres")}
    own = {server.pid, *(process.pid for process in psutil.Process(server.pid).children())}
    yield from (f"process of PostgreSQL: {pid}" for pid in postgres - own)
    yield from (f"one-stop service: {pid}" for pid in home.services() if service is None or pid != service.pid)
    yield from (f"process: {process}" for process in home.left_by_commands())


LEFT_OVER = {
    "lock": "select classid, objid, pid from pg_locks where locktype = 'advisory'",
    "session": """
        select application_name, state from pg_stat_activity
        where application_name like 'pdic%' and application_name <> 'pdic demo service'
    """,
    "prepared transaction": "select gid from pg_prepared_xacts",
    "batch's table": "select tablename from pg_tables where schemaname = 'raw_batch'",
    "open batch": "select batch_id, status from control.batch where status in ('extracting', 'extracted', 'checked')",
    "open release": "select release_id, status from control.release where status in ('building', 'built', 'audited')",
}


def standing(home: Home) -> dict[str, Any]:
    """Of each shared table its checksum; of each staging table one over the rows that stand, as the source wrote them."""
    shared = home.run("status", "--checksums", codes=(0, 1))["shared"]
    found = {table["table"]: table["checksum"] for table in shared}
    columns = home.query(
        """
        select table_name, string_agg(quote_ident(column_name), ', ' order by column_name)
        from information_schema.columns
        where table_schema = 'staging' and table_name like 'stg\\_%' and column_name not like '\\_%'
        group by table_name
        """
    )
    for table, names in columns:
        ((found[table],),) = home.query(
            f"""
            select md5(string_agg(stands::text, '' order by stands::text))
            from (select {names} from staging.{table} where not _deleted and not _held) as stands
            """
        )
    return found


def test_nothing_is_lost_doubled_or_left_in_a_traceback(
    new_home: Callable[[], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_all()
    killed, undisturbed = Home(new_home(), tmp_path / "project"), Home(new_home(), tmp_path / "project")
    making = killed.fork(lambda: small_project(killed.root, DATASETS))
    assert making.wait() and making.code == 0, making
    killed.share_identity_with(undisturbed)

    def say(text: str) -> None:
        with capsys.disabled():
            print(text, flush=True)

    seed = ["demo", "seed", "--citizens", str(CITIZENS), "--seed", str(SEED)]
    a_day = ["demo", "tick", "--days", "1", "--hard-deletes"]
    killed.run(*seed)
    killer = Killer(killed, random.Random(SEED))  # noqa: S311 (kills, hides nothing)
    for name in ("load", "release"):
        killed.run(*COMMANDS[name])
    killer.calm()
    killed.run(*a_day)
    kills: list[Kill] = []
    days = 1
    while len(kills) < KILLS:
        if len(kills) >= KILLS_A_DAY * days:
            killer.calm()
            killed.run(*a_day)
            days += 1
        if (kill := killer.strike()) is not None:
            kills.append(kill)
            say(f"{len(kills)}/{KILLS}: {kill}")
    killer.calm()

    undisturbed.run(*seed)
    for _ in range(days):
        undisturbed.run(*a_day)
    for name in ("load", "release"):
        undisturbed.run(*COMMANDS[name])
    assert standing(killed) == standing(undisturbed)
    waits = sorted(kill.waited for kill in kills)
    say(
        f"{len(kills)} kills over {days} days, seed {SEED}: {dict(Counter(f'{kill.victim} {kill.name}' for kill in kills))}"
    )
    say(
        f"waits beyond the usual time: median {waits[len(waits) // 2]:.1f} s, longest {waits[-1]:.1f} s; {killer.usual}"
    )
