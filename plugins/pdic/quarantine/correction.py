"""Correction files: what an agency gets to put its rows right at the source, as XLSX and CSV.

One pair of files an agency and dataset. They hold the rows as the agency sent them, the rules that each breaks in Vietnamese,
and until when. Personal columns are in them only where the file is for the agency that owns the rows; where a row names no
agency, or nothing fit to be one, the file goes to the dataset's owner without them.
"""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import xlsxwriter
from psycopg2 import sql

from pdic import connections, contracts, quality, raw, settings
from pdic.agency import UNREADABLE
from pdic.quality.rules import Rule
from pdic.quarantine.desk import QuarantineError, Wanted
from pdic.quarantine.terms import TIME_ZONE
from pdic.warehouse import Connect, transaction

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from pdic.contracts import Column, Contract

Report = dict[str, Any]
BLOCK: Final = 2_000
_LEFT: Final = ".*.????????-??????.*.new"
_AT_WORK_S: Final = 86_400
"""For how long an unfinished file may belong to an export that is at work."""
ROWS_OF_A_SHEET: Final = 1_000_000
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_SEVERITIES: Final = {"critical": "Nghiêm trọng", "warning": "Cảnh báo", "info": "Lưu ý"}
_FIRST: Final = ("Số phiếu", "Lý do", "Mức độ", "Hạn sửa")
_ADVICE: Final = (
    "Mỗi dòng là một bản ghi chưa được nhận vào kho dữ liệu dùng chung, đúng như cơ quan đã gửi.",
    "Sửa ở hệ thống nguồn, không sửa trong tệp này: lần đồng bộ sau, bản ghi đúng được nhận và phiếu tự đóng.",
    "Ô tô vàng là cột mà lý do nói đến. Hạn sửa tính theo ngày làm việc.",
    "Tệp có thể chứa dữ liệu cá nhân: chỉ người được giao việc sửa dữ liệu được mở; xoá khi xong việc.",
)


@dataclass(frozen=True)
class _File:
    contract: Contract
    agency: str | None
    rules: Mapping[str, Rule]

    @property
    def columns(self) -> tuple[Column, ...]:
        """What the file shows of a row. Where an agency's code should stand and does not, there may stand anything."""
        if self.agency == UNREADABLE:
            open_columns = (column for column in self.contract.columns if column.is_open)
            return tuple(column for column in open_columns if column.source_name != self.contract.agency_column)
        return self.contract.columns

    @property
    def headings(self) -> list[str]:
        return [*_FIRST, *(f"{column.description_vi} ({column.name_at_source})" for column in self.columns)]

    def reasons(self, ids: Sequence[str]) -> str:
        return "; ".join(self.rules[id_].reason.vi if id_ in self.rules else _without_rule(id_) for id_ in ids)

    def blamed(self, ids: Sequence[str]) -> set[str]:
        """The columns that the reasons speak of."""
        return {name for id_ in ids if id_ in self.rules for name in self.rules[id_].needed_columns}


def hand_back(
    wanted: Wanted, *, who: str, folder: Path | None = None, connect_to: Connect = connections.uri
) -> list[Report]:
    """Write the files for the records that are wanted and mark them returned. One report a pair of files.

    `folder`: None is `corrections` in the home. Files are written whole before any record changes, and can be read by their
    owner only. Raises QuarantineError where the folder cannot be written.
    """
    target = folder or settings.home() / "corrections"
    stamp = datetime.now(TIME_ZONE)
    try:
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise QuarantineError(f"{target} cannot be written ({error.strerror}): name another folder by --out") from None
    _clear(target)
    with transaction(connect_to("pdic_warehouse_loader"), "quarantine return") as loader:
        return [_hand_back(loader, found, ids, target, stamp, who) for found, ids in _files(loader, wanted)]


def _files(loader: Connection, wanted: Wanted) -> list[tuple[_File, list[int]]]:
    """The files to write, each with the records that go into it, which stay locked until they are marked."""
    condition, values = wanted.condition()
    known = contracts.readable()
    rules_of = cache(_rules)
    with loader.cursor() as cursor:
        cursor.execute(
            f"""
            select record_id from quarantine.record
            where record_id in (select record_id from quarantine.standing where {condition})
            order by record_id for update
            """,  # noqa: S608 (our own words; what is asked for goes by parameters)
            values,
        )
        ids = [record_id for (record_id,) in cursor.fetchall()]
        cursor.execute(
            """
            select sector, dataset, agency, array_agg(record_id order by record_id)
            from quarantine.record where record_id = any(%s) group by 1, 2, 3 order by 1, 2, 3
            """,
            (ids,),
        )
        found = []
        for sector, dataset, agency, of_agency in cursor.fetchall():
            contract = known.get((sector, dataset))
            if contract is None:
                raise QuarantineError(
                    f"{sector}.{dataset} has records in quarantine but no contract that can be read: bring the contract back, or mend it"
                )
            found.append((_File(contract, agency, rules_of(sector, dataset)), of_agency))
        return found


def _rules(sector: str, dataset: str) -> Mapping[str, Rule]:
    return {rule.id: rule for rule in quality.rules_for_batch(settings.project_root(), sector, dataset)}


def _hand_back(loader: Connection, file: _File, ids: list[int], folder: Path, stamp: datetime, who: str) -> Report:
    name = f"{file.contract.id}.{_plain(file.agency)}.{stamp:%Y%m%d-%H%M%S}"
    paths = [folder / f"{name}.xlsx", folder / f"{name}.csv"]
    rows = _write(loader, file, ids, *paths)
    with loader.cursor() as cursor:
        cursor.execute("update quarantine.record set state = 'returned' where record_id = any(%s)", (ids,))
        cursor.execute(
            "insert into quarantine.event (record_id, what, who, note) select unnest(%s), 'returned', %s, %s",
            (ids, who, name),
        )
    return {
        "sector": file.contract.sector,
        "dataset": file.contract.dataset,
        "agency": file.agency,
        "records": len(ids),
        "rows": rows,
        "personal_columns": any(not column.is_open for column in file.columns),
        "files": [str(path) for path in paths],
    }


def _plain(agency: str | None) -> str:
    if agency is None:
        return "toan-bo"
    return "khong-ro" if agency == UNREADABLE else agency


def _write(loader: Connection, file: _File, ids: list[int], xlsx: Path, csv_path: Path) -> int:
    """Write both files beside their places, then put them there: whoever sees one of them sees all of its rows."""
    places = (xlsx, csv_path)
    xlsx, csv_path = beside = [path.with_name(f".{path.name}.new") for path in places]
    try:
        rows = _fill(loader, file, ids, xlsx, csv_path)
        for path, place in zip(beside, places, strict=True):
            path.replace(place)
    finally:  # rows of persons do not stay where nobody sees them
        for path in beside:
            path.unlink(missing_ok=True)
    return rows


def _fill(loader: Connection, file: _File, ids: list[int], xlsx: Path, csv_path: Path) -> int:
    for path in (xlsx, csv_path):
        path.touch(mode=0o600)
        path.chmod(0o600)
    rows = 0
    with ExitStack() as stack:
        sheet = stack.enter_context(_Workbook(xlsx, file))
        text = stack.enter_context(csv_path.open("w", encoding="utf-8-sig", newline=""))
        writer = csv.writer(text)
        writer.writerow(file.headings)
        for record_id, reasons, severity, due_on, values in _rows(loader, file, ids):
            cells = [str(record_id), file.reasons(reasons), _SEVERITIES[severity], f"{due_on:%d/%m/%Y}", *values]
            sheet.add(cells, file.blamed(reasons))
            writer.writerow([_inert(cell) for cell in cells])
            rows += 1
    return rows


def _clear(folder: Path) -> None:
    """Remove what exports that were killed a day ago or longer left: rows of persons, in files that are not listed."""
    for path in folder.glob(_LEFT):
        with suppress(FileNotFoundError, PermissionError):  # another export removed it, or another person made it
            if time.time() - path.stat().st_mtime > _AT_WORK_S:
                path.unlink()


def _rows(loader: Connection, file: _File, ids: list[int]) -> Iterator[tuple[int, list[str], str, Any, list[str]]]:
    """record, reasons, severity, deadline and values as text, in the order of the records; in constant memory."""
    contract = file.contract
    values = [
        sql.SQL("coalesce(held.{}::text, '')").format(sql.Identifier(column.source_name)) for column in file.columns
    ]
    query = sql.SQL(
        """
        select record.record_id, record.reasons, record.severity, record.due_on, array[{values}]::text[]
        from quarantine.record as record
        inner join {quarantine} as held on record.last_batch_id = held._batch_id and record.key = {key}
        where record.record_id = any (%s)
        order by record.record_id
        """
    ).format(values=sql.SQL(", ").join(values), quarantine=raw.quarantine(contract), key=raw.key_text(contract, "held"))
    with loader.cursor(name="correction") as cursor:
        cursor.itersize = BLOCK
        cursor.execute(query, (ids,))
        yield from cursor


class _Workbook:
    """An XLSX file written row by row; values are text, never formulas, links or numbers."""

    def __init__(self, path: Path, file: _File) -> None:
        self._file = file
        self._book = xlsxwriter.Workbook(
            os.fspath(path),
            {
                "constant_memory": True,
                "strings_to_formulas": False,
                "strings_to_urls": False,
                "strings_to_numbers": False,
            },
        )
        self._bold = self._book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bottom": 1})
        self._wrong = self._book.add_format({"bg_color": "#FFF2A8"})
        self._row = 0
        self._sheet: Any = None

    def __enter__(self) -> _Workbook:
        return self

    def add(self, cells: Sequence[str], blamed: set[str]) -> None:
        """One row; cells of the blamed columns are marked."""
        if self._sheet is None or self._row > ROWS_OF_A_SHEET:
            self._begin()
        names = [None] * len(_FIRST) + [column.source_name for column in self._file.columns]
        for position, (cell, name) in enumerate(zip(cells, names, strict=True)):
            self._sheet.write_string(self._row, position, cell, self._wrong if name in blamed else None)
        self._row += 1

    def __exit__(self, *_: object) -> None:
        if self._sheet is None:
            self._begin()
        advice = self._book.add_worksheet("Hướng dẫn")
        advice.set_column(0, 0, 110)
        title = f"{self._file.contract.title} ({self._file.contract.id}) · {self._file.contract.owner_agency}"
        for row, line in enumerate((title, *_ADVICE)):
            advice.write_string(row, 0, line)
        self._book.close()

    def _begin(self) -> None:
        self._sheet = self._book.add_worksheet()
        self._sheet.freeze_panes(1, 1)
        self._sheet.set_column(0, 0, 10)
        self._sheet.set_column(1, 1, 60)
        self._sheet.set_column(2, len(self._file.headings) - 1, 18)
        for position, heading in enumerate(self._file.headings):
            self._sheet.write_string(0, position, heading, self._bold)
        self._row = 1


def _inert(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula: those that begin like one get an apostrophe in front."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _without_rule(reason: str) -> str:
    if reason.endswith(".type"):
        return f"Giá trị không đúng kiểu dữ liệu ({reason.removesuffix('.type').rpartition('.')[2]})"
    return f"Quy tắc {reason}"
