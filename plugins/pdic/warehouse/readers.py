"""Readers: a login for each, its limits, and the watch that keeps them.

The role `pdic_reader` holds the rights (schema `shared`, nothing else) and cannot log in; every person and every tool has a login
`reader_<name>` that is a member of it. What only the server's superuser can do lies in functions of schema `readers`
(`readers.sql`), which `provide` puts in: they do what the record says and take no orders.

PostgreSQL lets every role change its own password and its own defaults, and lets every session lift its own time limits. So
`put_right` compares each login with the record and puts back what differs, and `end_beyond_limits` ends the sessions that go on
for longer: docs/readers.md says when, and which limits cannot be lifted at all.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, LiteralString

import psycopg
import psycopg2

from pdic import clients, connections, logins, settings
from pdic.errors import PdicError, instead_of
from pdic.warehouse import rights
from pdic.warehouse.connect import Connect, connect_psycopg, one, records, transaction

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

FUNCTIONS: Final = Path(__file__).with_name("readers.sql")
FILE: Final = "readers.json"
"""Passwords by login, of those that `pdic reader add` made. It lies below the home: containers may write to no other folder."""

TAKEN: Final = (
    r"^(pg_(try_)?advisory_(xact_)?lock|lo_|lo(read|write)$|pg_logical_emit_message$|pg_notify$|pg_export_snapshot$)"
)
"""Functions of PostgreSQL that readers may not call: they take locks, hold large objects, or write to the server's log, queue or disk.
(What gives back an advisory lock is left to all: drivers call it when they clean up a session.)"""

STATEMENT: Final = "PDIC_READER_STATEMENT"
IDLE: Final = "PDIC_READER_IDLE"
TRANSACTION: Final = "PDIC_READER_TRANSACTION"
TEMPORARY: Final = "PDIC_READER_TEMPORARY_MB"
CONNECTIONS: Final = "PDIC_READER_CONNECTIONS"

MOST_CONNECTIONS: Final = 1000
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_log = logging.getLogger(__name__)

Report = dict[str, Any]


@dataclass(frozen=True)
class Limits:
    """What one session of a reader may take. 0 seconds is no limit."""

    statement_seconds: int
    idle_seconds: int
    transaction_seconds: int
    temporary_megabytes: int

    def with_settings(self) -> Limits:
        """The same, but for what the environment says. Raises PdicError where a setting is no number."""
        return Limits(
            statement_seconds=_whole(settings.seconds(STATEMENT, self.statement_seconds)),
            idle_seconds=_whole(settings.seconds(IDLE, self.idle_seconds)),
            transaction_seconds=_whole(settings.seconds(TRANSACTION, self.transaction_seconds)),
            temporary_megabytes=settings.number(TEMPORARY, self.temporary_megabytes, least=0, most=1_000_000),
        )


USUAL: Final = Limits(statement_seconds=900, idle_seconds=300, transaction_seconds=14_400, temporary_megabytes=512)


def _whole(seconds: float) -> int:
    """A limit in whole seconds. One that is less than a second stays a limit: 0 would be none."""
    return max(1, round(seconds)) if seconds else 0


def usual_connections() -> int:
    """How many connections at a time a login has where nobody says. Raises PdicError where the setting is no number."""
    return settings.number(CONNECTIONS, 10, least=1, most=MOST_CONNECTIONS)


def provide(superuser_uri: str, password: str, database: str = logins.READER.database) -> list[str]:
    """Put in, or put right, all that readers have in the warehouse; returns sentences about what was not as the record says.

    `password` is the one of the login that is always there. Doing it again changes nothing. Runs as the server's superuser.
    """
    USUAL.with_settings()  # (a setting that is no number is told before anything is done)
    with connect_psycopg(superuser_uri, "readers", dbname=database, options=rights.OF_SUPERUSER) as server:
        rights.require_own(server, "readers")
        known = server.execute("select to_regclass('readers.login') is not null").fetchone()
        server.execute(FUNCTIONS.read_text(encoding="utf-8"))
        found = _put_right(server) if known == (True,) else []
        stored = server.execute(
            "select statement_seconds, idle_seconds, transaction_seconds, temporary_megabytes from readers.limits"
        ).fetchone()
        server.execute(
            """
            insert into readers.limits (statement_seconds, idle_seconds, transaction_seconds, temporary_megabytes)
            values (%(statement_seconds)s, %(idle_seconds)s, %(transaction_seconds)s, %(temporary_megabytes)s)
            on conflict (one) do update set
                statement_seconds = excluded.statement_seconds, idle_seconds = excluded.idle_seconds,
                transaction_seconds = excluded.transaction_seconds, temporary_megabytes = excluded.temporary_megabytes
            """,
            asdict((Limits(*stored) if stored else USUAL).with_settings()),  # who says nothing leaves them as they are
        )
        _record_usual(server, password)
        found += _done(server, "select readers.make_so()")
        found += _done(server, "select readers.finish_removals()")
        found += _done(server, "select readers.close(%s)", TAKEN)
    return list(dict.fromkeys(found))


def _put_right(server: psycopg.Connection[Any]) -> list[str]:
    try:
        with server.transaction():
            found = server.execute("select login, kind, detail from readers.put_right()").fetchall()
    except psycopg.Error as error:
        return [_told_of(error)]
    return [_in_words(*row) for row in found]


def _done(server: psycopg.Connection[Any], statement: LiteralString, *given: str) -> list[str]:
    """Nothing, or the sentence about who kept it from being done: the next `pdic up` does it."""
    try:
        with server.transaction():
            server.execute(statement, given)
    except psycopg.Error as error:
        return [_told_of(error)]
    return []


def _ordered(admin: psycopg.Connection[Any], statement: LiteralString, *given: str | int) -> None:
    """Done, as somebody ordered it. Raises PdicError where another session keeps it from being done."""
    try:
        admin.execute(statement, given)
    except psycopg.Error as error:
        raise PdicError(f"{_told_of(error).partition(':')[0]}: run the same command again") from None


_IN_THE_WAY: Final = ("55P03", "40P01", "23505")  # lock_timeout, deadlock, two first settings of one login


def _told_of(error: psycopg.Error | psycopg2.Error) -> str:
    """The sentence about a login that somebody changes at the same moment. Raises the error where it is another one."""
    code = error.sqlstate if isinstance(error, psycopg.Error) else error.pgcode
    if code not in _IN_THE_WAY and "tuple concurrently" not in str(error):
        raise error
    return "a reader's login is being changed by another session: the next watch compares it with the record"


def _record_usual(server: psycopg.Connection[Any], password: str) -> None:
    """Keep the verifier of the usual login, where it is not one of this password, and its connections, if a setting says how many."""
    login = logins.READER.role
    row = server.execute("select verifier from readers.login where login = %s", (login,)).fetchone()
    if row is None or not _is_of(row[0], password):
        server.execute(
            """
            insert into readers.login (login, verifier, connections) values (%s, %s, %s)
            on conflict (login) do update set verifier = excluded.verifier
            """,
            (login, verifier(server.pgconn, login, password), usual_connections()),
        )
    if os.environ.get(CONNECTIONS):
        server.execute("update readers.login set connections = %s where login = %s", (usual_connections(), login))


def verifier(session: psycopg.pq.abc.PGconn, login: str, password: str) -> str:
    """What the server keeps instead of a password. It is made here, so that no statement holds the password."""
    return session.encrypt_password(password.encode(), login.encode(), b"scram-sha-256").decode()


def _is_of(known: str, password: str) -> bool:
    """Was this verifier made of this password? (RFC 5802; a password with letters beyond ASCII is simply set anew.)"""
    rounds, salt, stored = re.fullmatch(r"SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):.+", known).groups()  # type: ignore[union-attr]
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(rounds))
    client = hmac.digest(salted, b"Client Key", "sha256")
    return hmac.compare_digest(base64.b64encode(hashlib.sha256(client).digest()).decode(), stored)


def login_of(name: str) -> str:
    """The login of the reader `name`. Raises PdicError where that is no name for one."""
    if not _NAME.fullmatch(name):
        raise PdicError(
            f"{name!r} cannot be a reader's name: write at most 40 small letters (a to z), digits and underlines, a letter first, "
            "like an_nguyen"
        )
    return f"reader_{name}"


def add(admin_uri: str, home: Path, name: str, at_a_time: int | None = None) -> Report:
    """Make a login for a reader, with a password of its own that is kept in the home. Raises PdicError where there is one already.

    A password that is still kept for that name is not used again: somebody may know it who was removed since.
    """
    login, many = login_of(name), at_a_time or usual_connections()
    with settings.locked(home, "readers"), connect_psycopg(admin_uri, "reader add") as admin:
        kept = _passwords(home)
        if admin.execute("select from readers.login where login = %s", (login,)).fetchone() is not None:
            here = login in kept or login == logins.READER.role
            raise PdicError(
                f"there is a reader {name} already: "
                + (
                    f"`pdic dsn warehouse --reader {name}` gives its address, or choose another name"
                    if here
                    else f"its password is not kept in {_file(home)}; run `pdic reader remove {name}`, then this command again"
                )
            )
        left = dict(admin.execute("select login, kept from readers.finish_removals()").fetchall())
        if login in left:
            raise PdicError(_waits(login, left[login]))
        _require_room(admin, many)
        password = logins.new_password()
        _save(home, kept | {login: password})  # first: a password is never set that is not kept
        _ordered(admin, "select readers.add(%s, %s, %s)", login, verifier(admin.pgconn, login, password), many)
    return {"reader": name, "login": login, "connections": many}


def _require_room(admin: psycopg.Connection[Any], many: int) -> None:
    """All readers together get half of the server's connections: the other half is for loads, releases and Airflow."""
    row = admin.execute(
        "select current_setting('max_connections')::integer / 2, (select coalesce(sum(connections), 0) from readers.login)"
    ).fetchone()
    most, taken = row or (0, 0)
    if taken + many > most:
        raise PdicError(
            f"all readers together may have {most} connections, half of the server's, and {taken} are given: ask for fewer "
            "(`--connections N`), remove a reader that nobody uses, or raise the server's max_connections"
        )


def remove(admin_uri: str, home: Path, name: str) -> Report:
    """Take a reader's login away and end its sessions; returns how many those were. Raises PdicError where there is none.

    `waits` is a sentence where the role, by which nobody can log in any more, is kept because it owns objects; else None.
    """
    login = login_of(name)
    if login == logins.READER.role:
        raise PdicError(
            f"the reader {name} stays: `pdic dsn warehouse` gives its address. To lock others out that know its password, delete "
            f"the entry {logins.READER.conn_id} in {settings.secret_path('connections.json', home)} and run `pdic up`"
        )
    with settings.locked(home, "readers"):
        with connect_psycopg(admin_uri, "reader remove") as admin:
            there = {row[0] for row in admin.execute("select login from readers.login")}
            if login in there:
                _ordered(admin, "select readers.remove(%s)", login)
            elif admin.execute("select from readers.removed where login = %s", (login,)).fetchone() is None:
                raise PdicError(
                    f"there is no reader {name} ({instead_of(name, {name_of(each) for each in there})}): `pdic reader list` lists them"
                )
        with connect_psycopg(admin_uri, "reader remove") as admin:  # nobody enters with that login any more
            ended = admin.execute("select detail from readers.end_beyond_limits() where login = 'removed'").fetchall()
        with connect_psycopg(admin_uri, "reader remove") as admin:
            left = dict(admin.execute("select login, kept from readers.finish_removals()").fetchall())
        kept = _passwords(home)
        _save(home, {each: password for each, password in kept.items() if each != login})
        clients.forget(home, login)
    waits = _waits(login, left[login]) if login in left else None
    return {"reader": name, "login": login, "sessions_ended": len(ended), "waits": waits}


def _waiting(connection: Connection) -> dict[str, str]:
    """The logins that were removed and whose role is kept, with the sentence about each."""
    with connection.cursor() as cursor:
        cursor.execute("select to_regclass('readers.removed') is not null")
        if not one(cursor)[0]:
            return {}  # `pdic up` of this version did not run yet
        cursor.execute("select login, kept from readers.removed order by login")
        return {login: _waits(login, kept) for login, kept in cursor.fetchall()}


def _waits(login: str, kept: str) -> str:
    owns = f"owns {kept}" if kept else "was not dropped yet"
    return (
        f"reader {name_of(login)} is removed and nobody can log in as {login}, but the role is still there because it {owns}: have the "
        f"server's superuser give that to somebody else (`reassign owned by {login} to pdic_admin`) or drop it, then run "
        f"`pdic reader remove {name_of(login)}` again"
    )


def listed(connect_to: Connect) -> list[Report]:
    """Every reader: its login, its connections, how many of them are open, and since when it is there."""
    with transaction(connect_to("pdic_warehouse_loader"), "reader list") as loader, loader.cursor() as cursor:
        _require_set_up(loader)
        cursor.execute(
            """
            select
                login.login, login.connections, login.made_at,
                (select count(*) from pg_stat_activity as activity where activity.usename = login.login) as open
            from readers.login order by login.login
            """
        )
        found = [{"reader": name_of(row["login"]), **row, "waits": None} for row in records(cursor)]
        return found + [
            {"reader": name_of(login), "login": login, "connections": 0, "open": 0, "made_at": None, "waits": sentence}
            for login, sentence in _waiting(loader).items()
        ]


def address(home: Path, name: str) -> dict[str, Any]:
    """The connection of one reader, in the form of `secrets/connections.json`. Raises PdicError where its password is not kept here."""
    login = login_of(name)
    usual = connections.load(home)[logins.READER.conn_id]
    if login == logins.READER.role:
        return usual
    passwords = _passwords(home)
    if login not in passwords:
        known = {name_of(each) for each in (*passwords, logins.READER.role)}
        raise PdicError(
            f"no password of a reader {name} is kept in {_file(home)} ({instead_of(name, known)}): `pdic reader add {name}` makes one"
        )
    return {**usual, "login": login, "password": passwords[login]}


def name_of(login: str) -> str:
    """The name of the reader who has a login."""
    return login.removeprefix("reader_")


def _file(home: Path) -> Path:
    return home / "secrets" / FILE


def _passwords(home: Path) -> dict[str, str]:
    try:
        found = json.loads(_file(home).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except json.JSONDecodeError as error:
        raise PdicError(
            f"{_file(home)} is not JSON (line {error.lineno}): restore it, or delete it and make its readers anew"
        ) from None
    return {str(login): str(password) for login, password in found.items()}


def _save(home: Path, passwords: Mapping[str, str]) -> None:
    folder = _file(home).parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not settings.services_share(home):  # in a container the folder is a volume, and another user's
        settings.make_private(folder)
    settings.write_private(_file(home), json.dumps(passwords, indent=2, sort_keys=True) + "\n")


def watch(connect_to: Connect) -> list[str]:
    """Put right what readers changed of their logins, and end their sessions beyond the limits; returns a sentence for each.

    A warehouse that `provide` never saw has no readers to watch. Nothing that a reader does makes this fail: a load or a release goes on.
    """
    uri = connect_to("pdic_warehouse_loader")
    with transaction(uri, "readers") as loader, loader.cursor() as cursor:
        if not _is_set_up(loader):
            return []
        cursor.execute("select login, kind, detail from readers.end_beyond_limits()")
        said = [_in_words(*row) for row in cursor.fetchall()]
    try:
        with transaction(uri, "readers") as loader, loader.cursor() as cursor:
            cursor.execute("select login, kind, detail from readers.put_right()")
            said += [_in_words(*row) for row in cursor.fetchall()]
    except psycopg2.Error as error:
        said.append(_told_of(error))
    for sentence in said:
        _log.warning("%s", sentence)
    return said


def status(connect_to: Connect) -> Report:
    """What `pdic status` says of readers, after a watch: `problems` are sentences, `ended` those about sessions of the last day."""
    watch(connect_to)
    with transaction(connect_to("pdic_warehouse_loader"), "readers") as loader, loader.cursor() as cursor:
        if not _is_set_up(loader):
            return {"problems": [f"nothing limits readers in this warehouse: {_PUT_RIGHT}"], "ended": []}
        cursor.execute(
            """
            select login, kind, detail from readers.event
            where at > now() - interval '1 day'
                and (kind = 'session' or login = 'pdic_reader' or login in (select login from readers.login))
            order by event_id
            """
        )
        said = [(kind, _in_words(login, kind, detail)) for login, kind, detail in cursor.fetchall()]
        waiting = list(_waiting(loader).values())
        opened = still_open(loader)
    problems = [sentence for kind, sentence in said if kind != "session"]
    problems += waiting
    if opened:
        many = f" and {len(opened) - 1} more" if len(opened) > 1 else ""
        problems.append(
            f"readers may {opened[0]}{many}, which was taken from them (a restore gives it back): {_PUT_RIGHT}"
        )
    return {"problems": problems, "ended": [sentence for kind, sentence in said if kind == "session"]}


_PUT_RIGHT: Final = "run `pdic up`, or in containers `docker-compose up -d`"


def still_open(connection: Connection) -> list[str]:
    """What readers may do by the catalogue although `provide` took it away, as words that follow `readers may`."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select 'call ' || oid::regprocedure::text from pg_proc
            where pronamespace = 'pg_catalog'::regnamespace and proname ~ %s
                and has_function_privilege('pdic_reader', oid, 'execute')
            union all
            select 'make temporary tables' where has_database_privilege('pdic_reader', current_database(), 'temporary')
            union all
            select 'make objects in schema ' || nspname from pg_namespace
            where nspname in ('public', 'shared') and has_schema_privilege('pdic_reader', oid, 'create')
            order by 1
            """,
            (TAKEN,),
        )
        return [str(what) for (what,) in cursor.fetchall()]


def _is_set_up(connection: Connection) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("select exists (select from pg_namespace where nspname = 'readers')")
        return bool(one(cursor)[0])


def _require_set_up(connection: Connection) -> None:
    if not _is_set_up(connection):
        raise PdicError(f"this warehouse knows no readers yet: {_PUT_RIGHT}")


_BEYOND: Final = {
    "statement": f"its statement ran for {{seconds}} s ({STATEMENT})",
    "idle": f"its transaction was open and idle for {{seconds}} s ({IDLE})",
    "change": "its transaction of {seconds} s had written, and a reader can write nothing but its own login",
    "transaction": f"its transaction was open for {{seconds}} s ({TRANSACTION})",
}


def _in_words(login: str, kind: str, detail: str) -> str:
    """A row of `readers.event` as a sentence."""
    name = name_of(login)
    if kind == "session":
        pid, _, what = detail.partition(" ")
        of, _, seconds = what.partition(" ")
        if of == "removed":
            return f"a session whose login was removed (database process {pid}) was ended"
        return f"a session of reader {name} (database process {pid}) was ended: {_BEYOND[of].format(seconds=seconds)}"
    if kind == "password":
        return (
            f"reader {name}: the password of the login was changed and is put back. Ask who knows it; if that is too many, remove the "
            "reader and add another (`pdic reader --help`)"
        )
    if kind == "settings":
        return f"reader {name}: settings of the login ({detail}) were changed and are put back. Ask who did it, and what for"
    if kind == "connections":
        return (
            f"reader {name}: the limit of connections was {detail} and is put back. Ask the server's superuser what for"
        )
    if kind == "login":
        return f"reader {name}: the login was missing and is made again, with the same password"
    return f"reader {name}: rights of the login ({detail}) were changed and are put back. Ask the server's superuser what for"
