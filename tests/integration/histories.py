"""Random histories of the sectors' records, small and dense: few people, classes and codes, so that records collide.

A history is what sources do that loading has to survive: records appear, change in one field or in all, are sent again under
another number, move to another business key, are deleted softly or for good and come back, break a rule and are mended, or
are stamped anew without any change. Nothing here is realistic; demo/ is.
"""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from psycopg.types.json import Jsonb

from pdic import contracts, settings
from pdic.contracts import Contract

Row = dict[str, Any]
Kind = Literal["good", "bad", "gone"]
SCHOOLS = [f"44TRUONG{n}" for n in range(5)]
CLASSES = [f"{school}-L{n}" for school in SCHOOLS for n in range(3)]
PUPILS = [f"44{n:08d}" for n in range(25)]
FACILITIES = [f"4400{n}" for n in range(4)]
PROJECTS = [f"700000{n}" for n in range(6)]
FUNDS = ["NSTW", "ODA", "NSDP_XA"]
INVESTORS = [f"H46.0{n}" for n in range(3)]


def _codes() -> tuple[list[str], list[str]]:
    """Some codes of communes, old (with some that were divided) and new. They overlap: codes were reused."""
    seeds = settings.project_root() / "dbt_project" / "seeds"
    with (seeds / "administrative_unit.csv").open(encoding="utf-8") as file:
        communes = [unit for unit in csv.DictReader(file) if unit["level"] == "commune"]
    with (seeds / "administrative_unit_mapping.csv").open(encoding="utf-8") as file:
        divided = [pair["old_code"] for pair in csv.DictReader(file) if pair["is_split"] == "true"]
    old = [u["unit_code"] for u in communes if u["valid_from"] == "1900-01-01" and u["province_code"] in ("44", "45")]
    new = [u["unit_code"] for u in communes if u["valid_from"] == "2025-07-01" and u["province_code"] == "44"]
    return old[:25] + divided[:5], new[:12]


OLD, NEW = _codes()
KEYS: dict[str, list[Any]] = {
    "truong": SCHOOLS,
    "lop": CLASSES,
    "giaovien": [f"GV{n}" for n in range(20)],
    "co_so_kcb": FACILITIES,
    "du_an": PROJECTS,
    "chu_dau_tu": INVESTORS,
    "nguon_von": FUNDS,
    "noi_dang_ky": [(code, date(2025, 7, 1)) for code in NEW] + [(code, date(1900, 1, 1)) for code in OLD],
}
"""Datasets whose key is a business key; the others number their records."""


class Person:
    """Someone whom records speak of, more or less rightly."""

    def __init__(self, number: int) -> None:
        own = random.Random(1000 + number)  # noqa: S311
        self.born = date(own.randint(1950, 2024), own.randint(1, 12), own.randint(1, 28))
        self.is_female = own.random() < 0.5
        century = (self.born.year - 1900) // 100 * 2 + self.is_female
        self.number = (
            f"{own.choice(['044', '045', '001'])}{century}{self.born.year % 100:02d}{own.randint(0, 999_999):06d}"
        )
        self.name = f"{own.choice(['Nguyễn', 'Trần'])} {own.choice(['Văn', 'Thị'])} {number}"


@dataclass
class Sources:
    """The records of the datasets that feed core, as they stand, and the changes since `take` was called last."""

    rng: random.Random
    people: list[Person] = field(default_factory=lambda: [Person(n) for n in range(60)])
    rows: dict[str, dict[Any, tuple[Row, Kind]]] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)
    _clock: int = 0

    def change(self, contract: Contract, times: int) -> list[tuple[Row, Kind]]:
        """Something happens `times` times in a dataset; returns each key's newest state, as a load would read it."""
        changed = {}
        for _ in range(times):
            key, state = self._event(contract)
            changed[key] = state
        return list(changed.values())

    def standing(self, contract: Contract) -> list[tuple[Row, Kind]]:
        """Every record there is now, as a first load would read it."""
        return [state for state in self.rows.get(contract.dataset, {}).values() if state[1] != "gone"]

    def _event(self, contract: Contract) -> tuple[Any, tuple[Row, Kind]]:
        rng, known = self.rng, self.rows.setdefault(contract.dataset, {})
        present = [key for key, (_, kind) in known.items() if kind != "gone"]
        if not present or rng.random() < 0.45:
            number = self._numbers[contract.dataset] = self._numbers.get(contract.dataset, 0) + 1
            key = rng.choice(KEYS[contract.dataset]) if contract.dataset in KEYS else number
            known[key] = (
                self._whole(contract, key, self._content(contract.dataset)),
                "bad" if rng.random() < 0.06 else "good",
            )
            return key, known[key]
        key = rng.choice(present)
        row, kind = known[key]
        draw = rng.random()
        if draw < 0.12 and contract.soft_delete_column:
            row = {**row, contract.soft_delete_column: not row[contract.soft_delete_column]}
        elif draw < 0.20:
            kind = "gone"
        elif draw < 0.30:
            kind = "bad" if kind == "good" else "good"
        elif draw < 0.60:
            name, value = rng.choice(list(self._content(contract.dataset).items()))
            row, kind = {**row, name: value}, "good"
        elif draw < 0.90:
            row, kind = {**row, **self._content(contract.dataset)}, "good"
        known[key] = (self._whole(contract, key, row), kind)  # the rest: stamped anew, nothing else
        return key, known[key]

    def _whole(self, contract: Contract, key: Any, content: Row) -> Row:
        self._clock += 1
        named = dict(zip(contract.key, key if isinstance(key, tuple) else (key,), strict=True))
        row = {column.source_name: content.get(column.source_name) for column in contract.columns} | named
        if contract.soft_delete_column and row[contract.soft_delete_column] is None:
            row[contract.soft_delete_column] = False
        if contract.cursor_column:
            row[contract.cursor_column] = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self._clock)
        return row

    # What records say. A name of a column that is missing here is empty.

    def _content(self, dataset: str) -> Row:
        return dict(getattr(self, f"_{dataset}")())

    def _day(self) -> date:
        return date(self.rng.randint(2023, 2026), self.rng.randint(1, 12), self.rng.randint(1, 28))

    def _stamp(self) -> str:
        return self._day().strftime("%Y%m%d") + f"{self.rng.randint(0, 23):02d}{self.rng.randint(0, 59):02d}"

    def _code(self) -> str:
        return self.rng.choice([*NEW, *OLD, "99999"])

    def _place(self, commune: str, district: str, province: str) -> Row:
        rng = self.rng
        return {
            commune: self._code(),
            district: rng.choice([None, None, "450", "471"]),
            province: rng.choice(["44", "44", "45", "48"]),
        }

    def _number(self, person: Person) -> str | None:
        right = person.number
        other_sex = right[:3] + str(int(right[3]) ^ 1) + right[4:]
        return self.rng.choices([right, right[1:], other_sex, "191234567", None], [15, 1, 1, 1, 2])[0]

    def _dotted(self, person: Person) -> str:
        forms = [f"{person.born:%d.%m.%Y}", f"{person.born:%m.%Y}", f"{person.born:%Y}", "31.02.2001"]
        return self.rng.choices(forms, [16, 2, 1, 1])[0]

    def _compact(self, person: Person) -> str:
        born = person.born
        return self.rng.choices([f"{born:%Y%m%d}0000", f"{born:%Y%m}000000", f"{born:%Y}00000000"], [16, 2, 2])[0]

    def _sex(self, person: Person) -> str:
        return "2" if person.is_female else "1"

    def _in_education(self, person: Person) -> Row:
        known = self.rng.choices(["day", "month", "year"], [16, 2, 2])[0]
        return {
            "sodinhdanh": self._number(person),
            "hovaten": person.name,
            "gioitinh": self._sex(person),
            "ngaythangnamsinh": person.born if known == "day" else None,
            "thangnamsinh": f"{person.born:%Y%m}" if known == "month" else None,
            "namsinh": person.born.year if known == "year" else None,
            "dantoc": "01",
            **self._place("noiohientai_maxa", "noiohientai_mahuyen", "noiohientai_matinh"),
        }

    def _in_health(self, person: Person, suffix: str = "") -> Row:
        return {
            f"HO_TEN{suffix}": person.name,
            f"SO_CCCD{suffix}": self._number(person),
            f"NGAY_SINH{suffix}": self._compact(person),
            f"MA_DANTOC{suffix}": "01",
            "MA_CSKCB": self.rng.choice(FACILITIES),
            **self._place("MAXA_CU_TRU", "MAHUYEN_CU_TRU", "MATINH_CU_TRU"),
        }

    def _in_register(self) -> Row:
        return {
            "so": str(self.rng.randint(1, 15)),
            "quyenSo": "01/2026",
            "ngayDangKy": self.rng.choice([date(2024, 1, 1), date(2024, 2, 1), date(2026, 1, 1), date(2026, 2, 1)]),
            "loaiDangKy": "1",
            "noiDangKy": self._code(),
            "maHuyen": self.rng.choice([None, None, "450"]),
        }

    def _party(self, prefix: str) -> Row:
        person = self.rng.choice(self.people)
        return {
            f"{prefix}HoTen": person.name,
            f"{prefix}NgaySinh": self._dotted(person),
            f"{prefix}LoaiGiayToTuyThan": "4",
            f"{prefix}SoGiayToTuyThan": self._number(person),
        }

    def _truong(self) -> Row:
        return {
            "maddtc": "H46",
            "tentruong": f"Trường {self.rng.randint(1, 9)}",
            "manhomcaphoc": self.rng.choice(["01", "02", "03"]),
            "maloaihinhtruong": "1",
            "datchuanquocgia": self.rng.random() < 0.5,
            **self._place("diachi_maxa", "diachi_mahuyen", "diachi_matinh"),
        }

    def _lop(self) -> Row:
        return {
            "matruong": self.rng.choice(SCHOOLS),
            "namhoc": "2026-2027",
            "makhoi": self.rng.choice(["01", "02", "06"]),
        }

    def _hocsinh(self) -> Row:
        rng = self.rng
        return {
            "mahocsinh": rng.choice(PUPILS),
            "matruong": rng.choice(SCHOOLS[:2]),
            "malop": rng.choice([*CLASSES, None]),
            "namhoc": rng.choice(["2025-2026", "2026-2027"]),
            "matrangthaihientai": rng.choice("11124"),
            "hongheo": rng.random() < 0.3,
            "ngayvaotruong": self._day(),
            **self._in_education(rng.choice(self.people)),
        }

    def _ketquahoctap(self) -> Row:
        rng = self.rng
        return {
            "mahocsinh": rng.choice(PUPILS),
            "malop": rng.choice(CLASSES),
            "namhoc": "2025-2026",
            "hocky": rng.choice("12"),
            "diemtongket": rng.randint(0, 100) / 10,
            "xeploai": rng.choice(["T", "K", "D"]),
            "ngayketthuc": self._day(),
        }

    def _giaovien(self) -> Row:
        return {
            "matruong": self.rng.choice(SCHOOLS),
            "matrinhdo": "3",
            **self._in_education(self.rng.choice(self.people)),
        }

    def _co_so_kcb(self) -> Row:
        return {
            "TEN_CSKCB": f"Trạm y tế {self.rng.randint(1, 9)}",
            "TUYEN": "2",
            "DANG_HOAT_DONG": True,
            **self._place("MA_XA", "MA_HUYEN", "MA_TINH"),
        }

    def _xml1(self) -> Row:
        person = self.rng.choice(self.people)
        return {
            "MA_LK": f"LK{self.rng.randint(0, 40):02d}",
            "GIOI_TINH": self._sex(person),
            "NGAY_VAO": self._stamp(),
            "NGAY_RA": self._stamp(),
            "MA_BENH_CHINH": self.rng.choice(["J06.9", "I10", "Z00", "xấu"]),
            "MA_LOAI_KCB": "01",
            "KET_QUA_DTRI": self.rng.choice("125"),
            "T_TONGCHI_BV": self.rng.randint(0, 10**8) / 100,
            "T_BHTT": self.rng.randint(0, 10**8) / 100,
            **self._in_health(person),
        }

    def _giay_chung_sinh(self) -> Row:
        person = self.rng.choice(self.people)
        return {"MA_GCS": f"G{self.rng.randint(0, 20)}", "NGAY_CT": self._stamp()[:8], **self._in_health(person, "_ME")}

    def _giay_bao_tu(self) -> Row:
        person = self.rng.choice(self.people)
        return {
            "MA_GBT": f"B{self.rng.randint(0, 20)}",
            "GIOI_TINH": self._sex(person),
            "NGAY_CT": self._stamp()[:8],
            **self._in_health(person),
        }

    def _noi_dang_ky(self) -> Row:
        return {"tenNoiDangKy": f"UBND {self.rng.randint(1, 9)}", "capDangKy": "1", "maTinh": "44"}

    def _khai_sinh(self) -> Row:
        child = self.rng.choice(self.people)
        return {
            **self._in_register(),
            "nksSoDinhDanh": self._number(child),
            "nksHoTen": child.name,
            "nksGioiTinh": self._sex(child),
            "nksNgaySinh": self._dotted(child),
            **self._party("me"),
            **(self._party("cha") if self.rng.random() < 0.7 else {"chaHoTen": None, "chaSoGiayToTuyThan": None}),
        }

    def _ket_hon(self) -> Row:
        return {**self._in_register(), **self._party("chong"), **self._party("vo"), "tinhTrangKetHon": "1"}

    def _khai_tu(self) -> Row:
        person = self.rng.choice(self.people)
        return {
            **self._in_register(),
            "nktSoDinhDanh": self._number(person),
            "nktHoTen": person.name,
            "nktGioiTinh": self._sex(person),
            "nktNgaySinh": self._dotted(person),
            "nktNgayChet": self.rng.choice([f"{self._day():%d.%m.%Y}", "03.2024", "2024"]),
        }

    def _chu_dau_tu(self) -> Row:
        return {
            "ten": f"Ban {self.rng.randint(1, 9)}",
            "cap": "1",
            "ma_tinh": "44",
            "ma_xa": self._code(),
            "dang_hoat_dong": True,
        }

    def _hoso(self) -> Row:
        rng, person, received = self.rng, self.rng.choice(self.people), self._day()
        asked = received + timedelta(2)
        waits = [
            {
                "NgayYeuCau": f"{asked}T08:00:00",
                "NgayBoSung": rng.choice([None, f"{asked + timedelta(3)}T09:00:00", "?"]),
            }
        ]
        return {
            "SuKien": rng.choice(["NEW", "UPDATE", "UPDATE", "CANCEL"]),
            "MaHoSo": f"H50.60.001-260101-{rng.randint(0, 25):07d}",
            "MaTTHC": rng.choice(["1.900101", "2.900201"]),
            "TenTTHC": f"Thủ tục {rng.randint(1, 3)}",
            "KenhThucHien": rng.choice("123"),
            "ChuHoSo": person.name,
            "LoaiDoiTuong": rng.choice("1112"),
            "MaDoiTuong": self._number(person),
            "DonViXuLy": rng.choice(INVESTORS),
            "NgayTiepNhan": received,
            "NgayHenTra": received + timedelta(rng.randint(1, 20)),
            "TrangThaiHoSo": rng.choice(["3", "4", "5", "9", "10"]),
            "NgayKetThucXuLy": rng.choice([None, received + timedelta(rng.randint(0, 30))]),
            "DanhSachHoSoBoSung": Jsonb(rng.choice([[], [], waits])),
        }

    def _nguon_von(self) -> Row:
        return {"ten": f"Nguồn {self.rng.randint(1, 9)}", "nhom": "1", "trong_ngan_sach": True}

    def _du_an(self) -> Row:
        return {
            "ten": f"Dự án {self.rng.randint(1, 99)}",
            "nhom": "B",
            "ma_chu_dau_tu": self.rng.choice(INVESTORS),
            "dia_diem": [self._code() for _ in range(self.rng.randint(1, 3))],
            "ma_huyen": self.rng.choice([None, "450"]),
            "ma_tinh": "44",
            "ngay_phe_duyet": self._day(),
            "tong_muc_dau_tu": self.rng.randint(1, 10**11),
        }

    def _plan_key(self) -> Row:
        rng = self.rng
        return {"ma_du_an": rng.choice(PROJECTS), "ma_nguon_von": rng.choice(FUNDS), "nam": rng.choice([2025, 2026])}

    def _ke_hoach_von(self) -> Row:
        return {
            **self._plan_key(),
            "loai": self.rng.choice("123"),
            "so_von": self.rng.randint(1, 10**6),
            "don_vi_tinh": self.rng.choice(["đồng", "triệu đồng", "Triệu đồng", "xu"]),
            "ngay_giao": self._day(),
        }

    def _giai_ngan(self) -> Row:
        return {
            **self._plan_key(),
            "thang": self.rng.randint(1, 4),
            "so_tien_thang": self.rng.randint(1, 10**9),
            "ngay_bao_cao": self._day(),
            "trang_thai": "1",
        }


def datasets() -> list[Contract]:
    """The contracts of the datasets that `Sources` can speak of."""
    return [contract for contract in contracts.load_all().values() if hasattr(Sources, f"_{contract.dataset}")]
