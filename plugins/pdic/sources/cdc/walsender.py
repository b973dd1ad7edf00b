"""A replication session with a source: make a slot, read its messages up to a given position of the log.

Spoken over libpq itself (psycopg.pq). psycopg2's replication cursor confirms more than it was told to: answering the
server's keepalives it moves the slot past the position that the warehouse has on record (docs/decisions/0013).
"""

from __future__ import annotations

import select
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from pdic.errors import Busy, SourceRefused, SourceUnavailable
from pdic.sources.cdc import lsn, pgoutput
from pdic.sources.cdc.errors import lost, not_granted
from pdic.sources.cdc.slot import PATIENCE
from pdic.sources.guest import NOT_OF_ITS_ENCODING, full, source_of, unreadable
from pdic.sources.session import replication_options, unlimited
from pdic.warehouse import outages, silence
from pdic.warehouse.connect import KEEPALIVES, first_line
from pdic.warehouse.formats import CLIENT_ENCODING

if TYPE_CHECKING:
    from pdic.contracts import Contract

_DATA: Final = ord("w")
_KEEPALIVE: Final = ord("k")
_DATA_HEADER: Final = 25
_EPOCH: Final = 946_684_800  # 2000-01-01 UTC, where PostgreSQL's clock begins

POLL_SECONDS: Final = 0.05
"""How long a quiet stream is waited for before the server is asked how far it has come."""
QUIET_SECONDS: Final = 240.0
"""How long a server that lives may say nothing at all of its log (and `silence.GRACE_SECONDS`)."""
REPORT_SECONDS: Final = 10.0
"""How often the server hears from us while it sends without a pause (its `wal_sender_timeout` is 60 s)."""
WAIT_FOR_WRITERS: Final = "5min"
"""How long making a slot waits for transactions that were writing when it began."""


class Walsender:
    """One replication session. Use as a context: it ends the session cleanly, so that the slot is free at once."""

    def __init__(self, uri: str, contract: Contract) -> None:
        self._contract = contract
        info = make_conninfo(
            uri,
            replication="database",
            application_name=f"pdic read log {contract.id}"[:63],
            client_encoding=CLIENT_ENCODING,
            options=replication_options(uri),
            connect_timeout=10,
            **KEEPALIVES,
        )
        self._session = pq.PGconn.connect(info.encode())
        self._streaming = False
        self._waits = threading.Event()
        self._watched: silence.Watched | None = None
        if self._session.status != pq.ConnStatus.OK:
            raise self._no_entry(uri)
        self._watched = silence.watch(
            self._session.socket,
            uri,
            self._session.host.decode(),
            self._session.port.decode(),
            waits=self._waits.is_set,
            pid=self._session.backend_pid,
        )
        self._watched.whose = source_of(contract)
        if statement := unlimited(self._session.server_version):
            try:
                self._execute(statement)
            except BaseException:  # nobody has this object who could end it
                self._end()
                raise

    def __enter__(self) -> Walsender:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._streaming and kind is None:
                self._end_stream()
        finally:
            self._end()

    def _end(self) -> None:
        if self._watched is not None:
            self._watched.end()
        self._session.finish()

    def create_slot(self, slot: str) -> tuple[int, str]:
        """Make the slot; returns where its changes begin and the name of a snapshot of exactly that moment.

        The snapshot can be taken over by another session until this one ends. Raises `Busy` where transactions that were
        writing do not end in time, `NotGranted` where the source has no slot left or the role may not make one.
        """
        self._execute(f"set lock_timeout = '{WAIT_FOR_WRITERS}'")
        # The older spelling: every version understands it.
        result = self._execute(f'CREATE_REPLICATION_SLOT "{slot}" LOGICAL pgoutput EXPORT_SNAPSHOT')
        _, position, snapshot, _ = ((result.get_value(0, column) or b"").decode() for column in range(4))
        return lsn.number(position), snapshot

    def messages(self, slot: str, publication: str, position: int, target: int) -> Iterator[bytes]:
        """The pgoutput messages of every transaction committed at or after `position` and before `target`, in the order
        of their commits.

        Ends by itself on a busy source as on an idle one. `position` is confirmed to the server, and nothing more.
        Raises `SlotLost`, `SourceUnavailable`, `Busy`.
        """
        self._start(slot, publication, position)
        try:
            yield from self._until(position, target)
        except psycopg.OperationalError as error:
            raise self._unavailable(self._broke_off()) from error

    def _until(self, position: int, target: int) -> Iterator[bytes]:
        receive = self._session.get_copy_data
        reported = time.monotonic()
        count = 0
        self._report(position, ask=True)
        while True:
            size, data = receive(1)
            if size == 0:
                if not self._wait(POLL_SECONDS):
                    self._report(position, ask=True)
            elif size < 0:
                self._streaming = False
                result = self._session.get_result()
                raise self._error(result.error_field(pq.DiagnosticField.SQLSTATE) if result else None)
            elif data[0] == _DATA:
                message = bytes(data[_DATA_HEADER:])
                if message[0] == pgoutput.BEGIN and pgoutput.commit_lsn(message) >= target:
                    return
                yield message
                count += 1
                if count % 1000 == 0 and time.monotonic() - reported > REPORT_SECONDS:
                    self._report(position)
                    reported = time.monotonic()
            elif data[0] == _KEEPALIVE:
                # Everything committed before this position has been sent.
                if int.from_bytes(data[1:9]) >= target:
                    return
                if data[17]:
                    self._report(position)

    def _start(self, slot: str, publication: str, position: int) -> None:
        escaping = pq.Escaping(self._session)
        names = escaping.escape_literal(escaping.escape_identifier(publication.encode())).decode()
        command = (
            f'START_REPLICATION SLOT "{slot}" LOGICAL {lsn.written(position)} '
            f"(proto_version '1', publication_names {names}, binary 'true')"
        )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self._execute(command, expected=pq.ExecStatus.COPY_BOTH)
            except Busy:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)  # the session of a reader that was killed lasts a moment longer
            else:
                self._stream()
                return

    def _stream(self) -> None:
        """From now on the server speaks all the time. (Between two statements it says nothing: while a table is copied, for hours.)"""
        self._streaming = True
        self._waits.set()
        if self._watched is not None:
            self._watched.talks, self._watched.longest = True, QUIET_SECONDS

    def _execute(self, command: str, expected: pq.ExecStatus | None = None) -> pq.abc.PGresult:
        self._waits.set()
        try:
            result = self._session.exec_(command.encode())
        finally:
            self._waits.clear()
        wanted = (expected,) if expected else (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)
        if result.status not in wanted:
            raise self._error(result.error_field(pq.DiagnosticField.SQLSTATE))
        return result

    def _report(self, position: int, *, ask: bool = False) -> None:
        """Tell the server how far the warehouse has come; `ask` how far the server has."""
        clock = int((time.time() - _EPOCH) * 1_000_000)
        self._session.put_copy_data(struct.pack("!cQQQqB", b"r", position, position, position, clock, ask))
        self._session.flush()

    def _wait(self, seconds: float) -> bool:
        """Whether the server sent something before the time was over."""
        poll = select.poll()
        poll.register(self._session.socket, select.POLLIN)
        if not poll.poll(seconds * 1000):
            return False
        try:
            self._session.consume_input()
        except psycopg.OperationalError as error:
            raise self._unavailable(self._broke_off()) from error
        return True

    def _end_stream(self) -> None:
        """Take leave as the protocol wants it: an end without it leaves a line in the source's log."""
        deadline = time.monotonic() + 2
        with suppress(
            psycopg.OperationalError, SourceUnavailable
        ):  # all was read: how the session ends changes nothing
            self._session.put_copy_end()
            self._session.flush()
            while time.monotonic() < deadline:
                size, _ = self._session.get_copy_data(1)
                if size < 0:
                    return
                if size == 0:
                    self._wait(POLL_SECONDS)

    def _error(self, code: bytes | None) -> Exception:
        """What a failure of the server means. Its own words stay out: they can quote a row."""
        contract, state = self._contract, (code or b"").decode()
        if state == "55006":  # object_in_use
            return Busy(
                f"{contract.id}: its slot is being read by another session; wait for it or stop it, then load again."
            )
        if state == "55P03":  # lock_not_available
            return Busy(
                f"{contract.id}: a transaction at the source that was writing before the slot was made has not ended within "
                f"{WAIT_FOR_WRITERS}; load again when it has."
            )
        if state in ("42704", "55000", "58P01"):  # undefined_object, object_not_in_prerequisite_state, undefined_file
            return lost(
                contract, f"the source cannot continue the log from its slot and publication (SQLSTATE {state})"
            )
        if state == "53400":  # configuration_limit_exceeded
            return not_granted(
                contract, "all replication slots are in use", "alter system set max_replication_slots = 20 (restart)"
            )
        if state == "42501":  # insufficient_privilege
            return not_granted(contract, "the role may not use replication", "alter role <PDIC's role> replication")
        if state == "53100":  # disk_full
            return full(contract)
        if state in NOT_OF_ITS_ENCODING:
            return unreadable(contract)
        return self._unavailable(f"broke off (SQLSTATE {state})" if state else self._broke_off())

    def _broke_off(self) -> str:
        return silence.broken(source_of(self._contract)) or "broke off"

    def _no_entry(self, uri: str) -> SourceUnavailable | SourceRefused:
        """Why there is no session. What only a person can mend is not tried again, so that no account is locked."""
        error = psycopg.OperationalError(self._session.error_message.decode(errors="replace"))
        self._session.finish()
        if outages.reason(uri, error).passes:
            return self._unavailable(
                "takes no replication session now: see that it is up, and that max_wal_senders allows one"
            )
        return SourceRefused(
            f"{self._contract.id}: the source of sector {self._contract.sector} refuses a replication session to the login of "
            f"connection {self._contract.source_connection} ({first_line(error)}). It is not tried again by itself: see that the "
            "password is right, that the role has REPLICATION, and that pg_hba.conf lets it in for that, then load again"
        )

    def _unavailable(self, what: str) -> SourceUnavailable:
        return SourceUnavailable(
            f"{self._contract.id}: the source of sector {self._contract.sector} {what}. Nothing was moved; load again."
        )
