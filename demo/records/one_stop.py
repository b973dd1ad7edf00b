"""One-stop system: dossiers and what happened to each. A dossier's whole life follows from its number and the seed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from demo import text
from demo.people import FAR, NOBODY, YEAR, People
from demo.profile import EPOCH, stream
from demo.records.investment import BOARDS, BUILDERS, owner_codes
from demo.table import Table, World, serial_ids, stamped
from demo.text import MINUTES, Array

DOSSIERS_PER_YEAR = 0.10  # a person
NEVER = FAR * MINUTES
OPEN = ("2", "4", "5", "9")
COMMUNE = -1

# Code, name, field, days allowed, who decides (COMMUNE or the number of a board), share, share of organisations, fee in đồng.
# The codes have the form of the national list and are made up.
PROCEDURES = (
    ("1.900101", "Đăng ký khai sinh", "HT", 1, COMMUNE, 14, 0.0, 0),
    ("1.900102", "Đăng ký khai tử", "HT", 1, COMMUNE, 6, 0.0, 0),
    ("1.900103", "Đăng ký kết hôn", "HT", 2, COMMUNE, 7, 0.0, 0),
    ("1.900104", "Xác nhận tình trạng hôn nhân", "HT", 3, COMMUNE, 10, 0.0, 15000),
    ("2.900201", "Chứng thực bản sao từ bản chính", "CT", 1, COMMUNE, 26, 0.1, 10000),
    ("1.900301", "Hưởng trợ cấp xã hội hằng tháng", "BTXH", 12, COMMUNE, 8, 0.0, 0),
    ("1.900401", "Đăng ký biến động đất đai", "DD", 10, "Sở Nông nghiệp và Môi trường", 12, 0.15, 100000),
    ("1.900402", "Cấp giấy phép khai thác nước dưới đất", "TN", 30, "Sở Nông nghiệp và Môi trường", 2, 0.9, 1500000),
    ("1.900501", "Cấp giấy phép xây dựng nhà ở", "XD", 15, "Sở Xây dựng", 6, 0.05, 75000),
    ("1.900601", "Cấp chứng chỉ hành nghề khám bệnh, chữa bệnh", "YT", 20, "Sở Y tế", 3, 0.0, 430000),
    ("1.900602", "Công bố cơ sở đủ điều kiện mua bán thiết bị y tế", "YT", 3, "Sở Y tế", 2, 1.0, 3000000),
    ("1.900701", "Cấp lại bằng tốt nghiệp từ sổ gốc", "GD", 5, "Sở Giáo dục và Đào tạo", 4, 0.0, 0),
)  # fmt: skip


@dataclass(frozen=True)
class Lives:
    """What becomes of dossiers, in minutes since 1970 (NEVER: it does not happen)."""

    procedure: np.ndarray
    channel: np.ndarray
    received: np.ndarray
    due: np.ndarray
    begun: np.ndarray
    asked: np.ndarray
    supplied: np.ndarray
    closed: np.ndarray
    closed_as: np.ndarray
    finished: np.ndarray
    returned: np.ndarray

    def events(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """(when, the status after it) of every step, in the order in which they can happen."""
        n = len(self.received)
        steps = ((self.received, 2), (self.begun, 4), (self.asked, 5), (self.supplied, 4))
        return (
            *((when, np.full(n, status)) for when, status in steps),
            (self.closed, self.closed_as),
            (self.finished, np.full(n, 9)),
            (self.returned, np.full(n, 10)),
        )


def uniform(seed: int, purpose: str, numbers: np.ndarray) -> np.ndarray:
    """A number in [0, 1) for each record number: the same whenever it is asked for."""
    salt = stream(seed, "one_stop", purpose).integers(0, 2**63, dtype=np.uint64)
    mixed = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + salt
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) / 2**53


def lives(seed: int, numbers: np.ndarray, day: np.ndarray) -> Lives:
    """The lives of the dossiers with these record numbers, received on these days."""

    def u(purpose: str) -> np.ndarray:
        return uniform(seed, purpose, numbers)

    shares = np.cumsum([entry[5] for entry in PROCEDURES], dtype=float)
    procedure = np.searchsorted(shares / shares[-1], u("procedure"), side="right")
    days = np.array([entry[3] for entry in PROCEDURES])[procedure]
    span = days * MINUTES
    received = day * MINUTES + 450 + (u("hour") * 540).astype(np.int64)
    begun = received + 5 + (u("begin") * 200).astype(np.int64)
    due = (day + days) * MINUTES + 1020

    fate = u("fate")
    closed_as = np.select([fate < 0.02, fate < 0.03, fate < 0.035], [3, 7, 8], 0)
    closed = np.where(closed_as == 0, NEVER, begun + 10 + (u("close") * span * 0.3).astype(np.int64))
    pauses = (u("pause") < 0.12) & (closed_as == 0) & (days > 1)
    asked = np.where(pauses, begun + (span * 0.3).astype(np.int64), NEVER)
    forgotten = u("forgotten") < 0.06
    wait = MINUTES + (u("wait") * 10 * MINUTES).astype(np.int64)
    supplied = np.where(pauses & ~forgotten, asked + wait, NEVER)
    late = u("late") < np.where(procedure >= 6, 0.14, 0.05)
    pace = np.where(late, 1.1 + 0.9 * u("pace"), 0.2 + 0.65 * u("pace"))
    finished = begun + (span * pace).astype(np.int64) + np.where(supplied < NEVER, wait, 0)
    never = (closed_as != 0) | (pauses & forgotten)
    finished = np.where(never, NEVER, np.maximum(finished, np.where(supplied < NEVER, supplied + 30, begun + 15)))
    returned = np.where(never, NEVER, finished + 20 + (u("return") ** 3 * 4 * MINUTES).astype(np.int64))
    channel = np.select([u("channel") < 0.38, u("channel") < 0.93], [1, 2], 3)
    return Lives(procedure, channel, received, due, begun, asked, supplied, closed, closed_as, finished, returned)


def applicants(rng: np.random.Generator, everyone: People, n: int, today: int) -> np.ndarray:
    """Positions of n grown-up people who live."""
    able = np.flatnonzero((everyone.born < today - 18 * YEAR) & (everyone.died > today))
    return able[rng.integers(0, len(able), n)] if len(able) else able


def state(life: Lives, until: int) -> dict[str, Any]:
    """The columns that change while a dossier lives, as they stand at a minute: status, dates, supplements, results."""
    status, last, version = np.zeros((3, len(life.received)), dtype=np.int64)
    for when, after in life.events():
        passed = (when <= until) & (when < NEVER) & ((after != 4) | (status != 9))
        status, last = np.where(passed, after, status), np.where(passed, np.maximum(last, when), last)
        version += passed
    asked = _moments(np.where(life.asked <= until, life.asked, NEVER))
    supplied = _moments(np.where(life.supplied <= until, life.supplied, NEVER))
    finished = np.where(life.finished <= until, life.finished, NEVER)
    finished = np.where(life.closed <= until, life.closed, finished)
    returned = np.where(life.returned <= until, life.returned, NEVER)
    done = life.finished <= until
    return {
        "status": status,
        "last": last,
        "version": version,
        "TrangThaiHoSo": text.number(status),
        "NgayKetThucXuLy": pa.array(_moments(finished), pa.string()),
        "NgayTra": pa.array(_moments(returned), pa.string()),
        "HinhThuc": text.only(returned < NEVER, text.number(life.channel)),
        "DanhSachHoSoBoSung": pa.array(
            [_json([{"NgayYeuCau": a, "NgayBoSung": b}]) if a else "[]" for a, b in zip(asked, supplied, strict=True)]
        ),
        "DanhSachGiayToKetQua": pa.array(
            [_json([{"TenGiayTo": PROCEDURES[p][1]}]) if d else "[]" for p, d in zip(life.procedure, done, strict=True)]
        ),
    }


CHANGING = (
    "TrangThaiHoSo",
    "NgayKetThucXuLy",
    "NgayTra",
    "HinhThuc",
    "DanhSachHoSoBoSung",
    "DanhSachGiayToKetQua",
)


def hoso(world: World, numbers: np.ndarray, persons: People, life: Lives, until: int) -> Table:
    """Dossiers as they stand at a minute."""
    seed, n = world.seed, len(numbers)
    now = state(life, until)
    share = np.array([entry[6] for entry in PROCEDURES])[life.procedure]
    firm = uniform(seed, "firm", numbers) < share
    code = agency_codes(world, life.procedure, persons.place)
    names = _firm_names(seed, numbers)
    entry = [PROCEDURES[p] for p in life.procedure]
    return Table(
        "one_stop",
        "hoso",
        "IdBanGhi",
        {
            "IdBanGhi": pa.array(numbers),
            "SuKien": text.either(now["version"] > 1, "UPDATE", "NEW"),
            "PhienBan": pa.array(now["version"].astype(np.int32)),
            "ThoiGianCapNhat": stamped(
                world.profile.as_of, now["last"], stream(seed, "one_stop", "stamp", int(numbers[0]) if n else 0)
            ),
            "MaHoSo": dossier_codes(code, life.received // MINUTES, numbers),
            "MaTTHC": pa.array([e[0] for e in entry], pa.string()),
            "TenTTHC": pa.array([e[1] for e in entry], pa.string()),
            "MaLinhVuc": pa.array([e[2] for e in entry], pa.string()),
            "KenhThucHien": text.number(life.channel),
            "ChuHoSo": text.either(firm, names, persons.name),
            "LoaiDoiTuong": text.either(firm, "2", "1"),
            "MaDoiTuong": text.either(firm, text.fixed(3_200_000_000 + numbers, 10), persons.personal_id),
            "DonViXuLy": code,
            "NgayTiepNhan": pa.array(_moments(life.received), pa.string()),
            "NgayHenTra": pa.array(
                [m if s != 3 else None for m, s in zip(_moments(life.due), now["status"], strict=True)], pa.string()
            ),
            **{name: now[name] for name in CHANGING},
            "TaiLieuNop": pa.array([_json([{"TenTaiLieu": f"Tờ khai: {e[1]}"}]) for e in entry], pa.string()),
            "DanhSachLePhi": pa.array(
                [_json([{"TenLePhi": "Lệ phí", "MucThu": e[7]}]) if e[7] else "[]" for e in entry], pa.string()
            ),
        },
        people={"applicant": np.where(firm, NOBODY, persons.id)},
    )


def qua_trinh(
    world: World, codes: Array, agencies: Array, life: Lives, since: int, until: int, ids: Callable[[int], int]
) -> Table:
    """The steps of these dossiers after one minute and up to another, in the order in which they happened."""
    found = [
        (int(when[row]), row, int(after[row]))
        for when, after in life.events()
        for row in np.flatnonzero((when > since) & (when <= until) & (when < NEVER))
    ]
    found.sort()
    when = np.array([step[0] for step in found], dtype=np.int64)
    row = np.array([step[1] for step in found], dtype=np.int64)
    status = np.array([step[2] for step in found], dtype=np.int64)
    start = ids(len(found))
    officers = text.pool([f"{family} {name}" for family in ("Nguyễn", "Trần", "Lê", "Hoàng") for name in OFFICERS])
    return Table(
        "one_stop",
        "qua_trinh",
        "IdBanGhi",
        {
            "IdBanGhi": serial_ids(start, len(found)),
            "SuKien": text.const("NEW", len(found)),
            "PhienBan": pa.array(np.ones(len(found), dtype=np.int32)),
            "ThoiGianCapNhat": stamped(world.profile.as_of, when, stream(world.seed, "one_stop", "log", start)),
            "MaHoSo": text.pick(codes, row),
            "DonViXuLy": text.pick(agencies, row),
            "NguoiXuLy": text.pick(officers, (row * 7 + status) % len(officers)),
            "ThoiDiemXuLy": pa.array(_moments(when), pa.string()),
            "TrangThai": text.number(status),
            "NgayKetThucTheoQuyDinh": pa.array(_moments(life.due[row]), pa.string()),
        },
    )


OFFICERS = ("Thị Lan", "Văn Hải", "Minh Tâm", "Thị Hoa", "Quốc Việt", "Thu Hà")


def agency_codes(world: World, procedure: np.ndarray, place: np.ndarray) -> Array:
    """Who decides: the commune of the applicant, or a department of the province."""
    board = np.array([COMMUNE if entry[4] == COMMUNE else BOARDS.index(str(entry[4])) for entry in PROCEDURES])[
        procedure
    ]
    commune = len(BOARDS) + world.units.n + world.units.new[place]
    return text.pick(owner_codes(world), np.where(board == COMMUNE, commune, board))


def dossier_codes(agency: Array, day: np.ndarray, numbers: np.ndarray) -> Array:
    """Mã hồ sơ: agency, day of receipt, number."""
    y, m, d = text.ymd(day)
    return text.concat(agency, "-", text.fixed(y % 100 * 10_000 + m * 100 + d, 6), "-", text.fixed(numbers, 7))


def minutes_of(moment: datetime) -> int:
    """Minutes since 1970 of a local time."""
    return int((moment - datetime(EPOCH.year, EPOCH.month, EPOCH.day)).total_seconds() // 60)  # noqa: DTZ001 (local, as in the source)


def _firm_names(seed: int, numbers: np.ndarray) -> Array:
    who = (uniform(seed, "firm name", numbers) * len(BUILDERS)).astype(np.int64)
    return text.concat("Công ty TNHH ", text.pick(text.pool(BUILDERS), who), " ", text.number(numbers % 97 + 1))


def _moments(minutes: np.ndarray) -> list[str | None]:
    """ISO local times; None for NEVER."""
    begin = datetime(EPOCH.year, EPOCH.month, EPOCH.day)  # noqa: DTZ001 (local, as in the source)
    return [None if at >= NEVER else (begin + timedelta(minutes=int(at))).isoformat() for at in minutes]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
