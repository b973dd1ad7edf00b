"""Build the administrative-unit seeds from the public crosswalk they come from.

The facts are in the wheel ``vietnamadminunits`` 1.0.4 (MIT): both commune lists and the old → new crosswalk of
1 July 2025. This script takes them out once, repairs what is known to be wrong, adds the later changes of 2026 and
writes two CSV files whose bytes depend only on the wheel and on this file::

    python scripts/administrative_units.py                    # fetches the wheel with pip, checks its sha256
    python scripts/administrative_units.py --wheel FILE.whl   # offline
    python scripts/administrative_units.py --check            # exit 1 when the committed CSVs would change

The wheel is read as a zip file and never installed: it would bring geocoding libraries that PDIC does not need.
Columns, gaps and sources are described in ``docs/administrative-units.md``.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import sqlite3
import subprocess
import sys
import tempfile
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

PACKAGE = "vietnamadminunits"
VERSION = "1.0.4"
WHEEL_SHA256 = "737ee3662e877290386c1c45ed4d71f2e5fae34ab6fb9c64bfb4cb74b216ea35"
DATABASE_MEMBER = "vietnamadminunits/data/dataset.db"
CROSSWALK_MEMBER = "vietnamadminunits/data/converter_2025.json"

SEEDS = Path(__file__).resolve().parent.parent / "dbt_project" / "seeds"
UNITS_FILE = "administrative_unit.csv"
MAPPING_FILE = "administrative_unit_mapping.csv"

REFORM = date(2025, 7, 1)
# The list of 30/6/2025 does not say since when a unit has existed; this date stands for "start unknown".
START_UNKNOWN = date(1900, 1, 1)

Level = Literal["province", "district", "commune"]
LEVELS: tuple[Level, ...] = ("province", "district", "commune")
UNIT_TYPES: Mapping[Level, tuple[str, ...]] = {
    "province": ("tỉnh", "thành phố"),
    "district": ("huyện", "quận", "thị xã", "thành phố"),
    "commune": ("xã", "phường", "thị trấn", "đặc khu"),
}
CODE_LENGTH: Mapping[Level, int] = {"province": 2, "district": 3, "commune": 5}


class SeedError(RuntimeError):
    """The wheel or a repair in this script does not fit; the message says which unit and what to do."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One version of one unit; the fields are the columns of ``administrative_unit.csv`` in order."""

    unit_key: str
    unit_code: str
    level: Level
    unit_type: str
    name_vi: str
    full_name_vi: str
    name_folded: str
    parent_code: str | None
    province_code: str
    valid_from: date
    valid_to: date | None
    valid_from_is_known: bool


@dataclass(frozen=True, slots=True)
class Move:
    """One old unit → new unit pair; the fields are the columns of ``administrative_unit_mapping.csv`` in order."""

    old_unit_key: str
    new_unit_key: str
    old_code: str
    new_code: str
    old_level: Level
    new_level: Level
    old_province_code: str
    new_province_code: str
    effective_date: date
    is_split: bool
    is_default: bool
    target_count: int
    source_count: int


@dataclass(frozen=True, slots=True)
class NameRepair:
    """A name that is wrong in the wheel. ``before`` guards against repairing a wheel that has changed."""

    code: str
    before: str
    after: str
    reason: str


@dataclass(frozen=True, slots=True)
class FalsePair:
    """A crosswalk pair that exists only because another old commune has the same name.

    ``true_source`` is that other commune. The build fails unless it has the same name as ``old_code`` and does map to
    ``new_code``, so an entry cannot be wrong unnoticed.
    """

    old_code: str
    new_code: str
    true_source: str


@dataclass(frozen=True, slots=True)
class Amendment:
    """A change of type under an unchanged code after the reform."""

    effective: date
    code: str
    before: str
    after: str
    instrument: str


CAPITAL_TYPE = "the second word of the type has a capital letter, unlike every other row"
NAME_REPAIRS: tuple[NameRepair, ...] = (
    NameRepair("058", "Thành Phố Bắc Kạn", "Thành phố Bắc Kạn", CAPITAL_TYPE),
    NameRepair("095", "Thị Xã Mường Lay", "Thị xã Mường Lay", CAPITAL_TYPE),
    NameRepair("222", "Thị Xã Việt Yên", "Thị xã Việt Yên", CAPITAL_TYPE),
    NameRepair("450", "Thành Phố Đồng Hới", "Thành phố Đồng Hới", CAPITAL_TYPE),
    NameRepair("644", "Thị Xã Buôn Hồ", "Thị xã Buôn Hồ", CAPITAL_TYPE),
    NameRepair("19624", "Thị Trấn Ái Tử", "Thị trấn Ái Tử", CAPITAL_TYPE),
    NameRepair("20467", "Thị Trấn Prao", "Thị trấn Prao", CAPITAL_TYPE),
    NameRepair("22319", "Thị Trấn Phú Hòa", "Thị trấn Phú Hòa", CAPITAL_TYPE),
    NameRepair("30688", "Thị Trấn Óc Eo", "Thị trấn Óc Eo", CAPITAL_TYPE),
    NameRepair("32191", "Thị Trấn Năm Căn", "Thị trấn Năm Căn", CAPITAL_TYPE),
)

# Why each goes: the crosswalk was joined by name inside the new province, so two old communes of one name each got
# the other's target. The official conversion table (Cục Thống kê) has none of these pairs; most lie 20 to 100 km apart.
FALSE_PAIRS: tuple[FalsePair, ...] = (
    FalsePair("06079", "06184", "06205"),  # Hồng Phong: Bình Gia ≠ Cao Lộc
    FalsePair("10798", "11911", "11890"),  # Hòa Bình: Kim Thành ≠ Vĩnh Bảo
    FalsePair("11890", "10804", "10798"),
    FalsePair("11890", "10843", "10798"),
    FalsePair("25462", "27694", "27691"),  # Phường 4: Tây Ninh ≠ Tân An
    FalsePair("27691", "25459", "25462"),
    FalsePair("28252", "29869", "29872"),  # numbered wards of Mỹ Tho, Cai Lậy, Sa Đéc ≠ Cao Lãnh
    FalsePair("28270", "29869", "29878"),
    FalsePair("28437", "29869", "29875"),
    FalsePair("28439", "29869", "29872"),
    FalsePair("29902", "29869", "29875"),
    FalsePair("29908", "29869", "29872"),
    FalsePair("28924", "29734", "29734"),  # Hòa Lộc: Mỏ Cày Bắc ≠ Tam Bình
    FalsePair("29734", "28921", "28924"),
    FalsePair("29623", "29182", "29233"),  # Mỹ An: Mang Thít ≠ Thạnh Phú
    FalsePair("31246", "31726", "31714"),  # Thạnh Quới: Vĩnh Thạnh ≠ Mỹ Xuyên
    FalsePair("31714", "31246", "31246"),
    FalsePair("31268", "31666", "31666"),  # Tân Thạnh: Thới Lai ≠ Long Phú
    FalsePair("31666", "31288", "31268"),
    FalsePair("31378", "31654", "31657"),  # Phú Hữu: Châu Thành (Hậu Giang) ≠ Long Phú
    FalsePair("31657", "31378", "31378"),
    FalsePair("31379", "31582", "31582"),  # Phú Tân: Châu Thành (Hậu Giang) ≠ Châu Thành (Sóc Trăng)
    FalsePair("31582", "31378", "31379"),
    FalsePair("31438", "31741", "31741"),  # Tân Long: Phụng Hiệp ≠ Ngã Năm
    FalsePair("31741", "31408", "31438"),
    FalsePair("31474", "31741", "31744"),  # Long Bình: Long Mỹ ≠ Ngã Năm
    FalsePair("31744", "31473", "31474"),
    FalsePair("31480", "31639", "31669"),  # Long Phú: Long Mỹ ≠ Long Phú
    FalsePair("31669", "31480", "31480"),
    FalsePair("31483", "31591", "31606"),  # Thuận Hưng: Long Mỹ ≠ Mỹ Tú
    FalsePair("31606", "31495", "31483"),
)

DONG_NAI = date(2026, 4, 30)
QUANG_NINH = date(2026, 9, 1)
BAC_NINH = date(2026, 9, 20)
AMENDMENTS: tuple[Amendment, ...] = (
    Amendment(DONG_NAI, "75", "Tỉnh Đồng Nai", "Thành phố Đồng Nai", "30/2026/QH16"),
    *(
        Amendment(DONG_NAI, code, f"Xã {name}", f"Phường {name}", "237/NQ-UBTVQH16")
        for code, name in (
            ("25270", "Lộc Ninh"),
            ("25357", "Tân Khai"),
            ("25363", "Đồng Phú"),
            ("26116", "Tân Phú"),
            ("26170", "Trị An"),
            ("26248", "Trảng Bom"),
            ("26326", "Dầu Giây"),
            ("26368", "Long Thành"),
            ("26425", "Xuân Lộc"),
            ("26485", "Nhơn Trạch"),
        )
    ),
    Amendment(QUANG_NINH, "22", "Tỉnh Quảng Ninh", "Thành phố Quảng Ninh", "36/2026/QH16"),
    Amendment(BAC_NINH, "24", "Tỉnh Bắc Ninh", "Thành phố Bắc Ninh", "39/2026/QH16"),
    *(
        Amendment(BAC_NINH, code, f"Xã {name}", f"Phường {name}", "388/NQ-UBTVQH16")
        for code, name in (
            ("07294", "Bố Hạ"),
            ("07375", "Lạng Giang"),
            ("07399", "Kép"),
            ("07444", "Lục Nam"),
            ("07840", "Hiệp Hòa"),
            ("09193", "Yên Phong"),
            ("09292", "Phù Lãng"),
            ("09313", "Chi Lăng"),
            ("09319", "Tiên Du"),
            ("09454", "Gia Bình"),
            ("09475", "Nhân Thắng"),
            ("09496", "Lương Tài"),
        )
    ),
)


@dataclass(frozen=True, slots=True)
class Source:
    """What the wheel holds: rows of the two lists and the crosswalk, as they are."""

    old_rows: tuple[dict[str, Any], ...]
    new_rows: tuple[dict[str, Any], ...]
    crosswalk: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Seeds:
    """The two seeds, sorted as they are written."""

    units: tuple[Unit, ...]
    moves: tuple[Move, ...]


def clean(text: str) -> str:
    """Return the text in NFC, with single spaces and the straight apostrophe (sources mix it with U+2019)."""
    return " ".join(unicodedata.normalize("NFC", text.replace("\u2019", "'")).split())


def fold(text: str) -> str:
    """Return the text in lower-case ASCII for matching: no marks, đ → d, no apostrophe, hyphen as a space.

    Folding makes ``Hòa`` and ``Hoà`` equal, and unfortunately ``Hoa`` too: it finds candidates, it proves nothing.
    """
    decomposed = unicodedata.normalize("NFD", clean(text).lower().replace("đ", "d"))
    letters = "".join(char for char in decomposed if not unicodedata.combining(char))
    return " ".join(letters.replace("'", "").replace("-", " ").split())


def split_type(full_name: str, level: Level) -> tuple[str, str]:
    """Return (unit type, name without the type) of a full name such as ``Phường Đồng Hới``.

    The name decides rather than the wheel's type column, which contradicts the name in seven rows.
    Raises SeedError when the name does not begin with a type of the level.
    """
    for unit_type in UNIT_TYPES[level]:
        prefix = unit_type[0].upper() + unit_type[1:] + " "
        if full_name.startswith(prefix):
            return unit_type, full_name.removeprefix(prefix)
    raise SeedError(f"{full_name!r} does not begin with a type of the level {level}: add a NameRepair")


def make_unit(
    level: Level,
    code: str,
    full_name: str,
    parent_code: str | None,
    province_code: str,
    valid_from: date,
    valid_to: date | None,
) -> Unit:
    """Return a unit version; raises SeedError when the code is not zero-padded text of the level's length."""
    if not (code.isdecimal() and len(code) == CODE_LENGTH[level]):
        raise SeedError(f"{level} {full_name!r} has the code {code!r}: expected {CODE_LENGTH[level]} digits")
    unit_type, name = split_type(full_name, level)
    return Unit(
        unit_key=f"{code}@{valid_from.isoformat()}",
        unit_code=code,
        level=level,
        unit_type=unit_type,
        name_vi=name,
        full_name_vi=full_name,
        name_folded=fold(name),
        parent_code=parent_code,
        province_code=province_code,
        valid_from=valid_from,
        valid_to=valid_to,
        valid_from_is_known=valid_from != START_UNKNOWN,
    )


def fetch_wheel(folder: Path) -> Path:
    """Download the wheel with pip into the folder and return its path."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*command, "--dest", str(folder), f"{PACKAGE}=={VERSION}"], check=True)  # noqa: S603 - fixed words
    return next(folder.glob("*.whl"))


def read_wheel(path: Path) -> Source:
    """Return the rows and the crosswalk in the wheel; raises SeedError when it is not the pinned file."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != WHEEL_SHA256:
        raise SeedError(f"{path.name} has sha256 {digest}, expected {WHEEL_SHA256}: use {PACKAGE} {VERSION}")
    with zipfile.ZipFile(io.BytesIO(content)) as wheel:
        crosswalk = json.loads(wheel.read(CROSSWALK_MEMBER))
        database = sqlite3.connect(":memory:")
        database.deserialize(wheel.read(DATABASE_MEMBER))
    database.row_factory = sqlite3.Row
    try:
        old_rows, new_rows = (
            tuple(dict(row) for row in database.execute(f"select * from {table}"))  # noqa: S608 - constant names
            for table in ("admin_units_legacy", "admin_units")
        )
    finally:
        database.close()
    return Source(old_rows, new_rows, crosswalk)


def repair_names(rows: Iterable[dict[str, Any]], repairs: Iterable[NameRepair]) -> list[dict[str, Any]]:
    """Return rows with clean names and the repairs applied; raises SeedError when a repair finds another name."""
    by_code = {repair.code: repair for repair in repairs}
    repaired = []
    for row in rows:
        names = {key: clean(row[key]) for key in ("province", "district", "ward") if row.get(key)}
        for key in names:
            repair = by_code.get(row[f"{key}Code"])
            if repair is None:
                continue
            if names[key] != repair.before:
                raise SeedError(f"{repair.code} is {names[key]!r}, not {repair.before!r}: drop its NameRepair")
            names[key] = repair.after
        repaired.append({**row, **names})
    return repaired


def old_and_new_units(source: Source) -> list[Unit]:
    """Return every unit version known from the wheel: the lists of 30/6/2025 and of 1/7/2025, not yet amended."""
    old_rows = repair_names(source.old_rows, NAME_REPAIRS)
    new_rows = repair_names(source.new_rows, ())
    old_provinces = {row["provinceCode"]: row["province"] for row in old_rows}
    new_provinces = {row["provinceCode"]: row["province"] for row in new_rows}
    merged = {new for new, old in province_pairs(source) if new != old}
    unchanged = {
        code for code in new_provinces if code not in merged and old_provinces.get(code) == new_provinces[code]
    }
    districts = {row["districtCode"]: (row["district"], row["provinceCode"]) for row in old_rows}

    units = [
        make_unit("province", code, name, None, code, START_UNKNOWN, None if code in unchanged else REFORM)
        for code, name in old_provinces.items()
    ]
    units += [
        make_unit("province", code, name, None, code, REFORM, None)
        for code, name in new_provinces.items()
        if code not in unchanged
    ]
    units += [
        make_unit("district", code, name, province, province, START_UNKNOWN, REFORM)
        for code, (name, province) in districts.items()
    ]
    units += [
        make_unit(
            "commune",
            row["wardCode"],
            row["ward"],
            row["districtCode"],
            row["provinceCode"],
            START_UNKNOWN,
            REFORM,
        )
        for row in old_rows
        if row["wardCode"]
    ]
    units += [
        make_unit("commune", row["wardCode"], row["ward"], row["provinceCode"], row["provinceCode"], REFORM, None)
        for row in new_rows
    ]
    return units


def amend(units: Iterable[Unit], amendments: Iterable[Amendment]) -> list[Unit]:
    """Return the units with each amendment as a new version; raises SeedError on an unexpected current name."""
    versions = {unit.unit_key: unit for unit in units}
    for change in sorted(amendments, key=lambda item: (item.effective, item.code)):
        current = next(
            (u for u in versions.values() if u.unit_code == change.code and u.valid_to is None),
            None,
        )
        if current is None or current.full_name_vi != change.before:
            found = current.full_name_vi if current else "no open version"
            raise SeedError(f"{change.instrument}: {change.code} is {found!r}, not {change.before!r}")
        versions[current.unit_key] = replace(current, valid_to=change.effective)
        after = make_unit(
            current.level,
            current.unit_code,
            change.after,
            current.parent_code,
            current.province_code,
            change.effective,
            None,
        )
        versions[after.unit_key] = after
    return list(versions.values())


def province_pairs(source: Source) -> list[tuple[str, str]]:
    """Return (new province code, old province code) pairs of the reform."""
    old_codes = {row["provinceKey"]: row["provinceCode"] for row in source.old_rows}
    new_codes = {row["provinceKey"]: row["provinceCode"] for row in source.new_rows}
    return [
        (new_codes[new], old_codes[old])
        for new, sources in source.crosswalk["DICT_PROVINCE"].items()
        for old in sources
    ]


def commune_pairs(source: Source) -> dict[tuple[str, str], bool]:
    """Return {(old code, new code): default} as the crosswalk has it; the five island districts have 3-digit codes."""
    old_codes = {
        f"{row['provinceKey']}_{row['districtKey']}_{row['wardKey'] or ''}": row["wardCode"] or row["districtCode"]
        for row in source.old_rows
    }
    new_codes = {(row["provinceKey"], row["wardKey"]): row["wardCode"] for row in source.new_rows}
    if len(old_codes) != len(source.old_rows) or len(new_codes) != len(source.new_rows):
        raise SeedError("the crosswalk's keys are no longer unique: the wheel has changed")
    pairs: dict[tuple[str, str], bool] = {}
    for province, targets in source.crosswalk["DICT_PROVINCE_WARD_NO_DIVIDED"].items():
        for new, olds in targets.items():
            pairs.update({(old_codes[old], new_codes[province, new]): True for old in olds})
    for province, splits in source.crosswalk["DICT_PROVINCE_WARD_DIVIDED"].items():
        for old, news in splits.items():
            for new in news:
                pairs[old_codes[old], new_codes[province, new["newWardKey"]]] = new["isDefaultNewWard"]
    return pairs


def drop_false_pairs(
    pairs: Mapping[tuple[str, str], bool], false_pairs: Iterable[FalsePair], old_names: Mapping[str, str]
) -> dict[tuple[str, str], bool]:
    """Return the pairs without the false ones; a lone remaining target becomes the default.

    Raises SeedError when an entry does not show what it claims or an old unit would be left without one default.
    """
    kept = dict(pairs)
    for entry in false_pairs:
        if kept.pop((entry.old_code, entry.new_code), None) is None:
            raise SeedError(f"false pair {entry.old_code} → {entry.new_code} is not in the crosswalk: remove the entry")
    for entry in false_pairs:
        same_name = fold(old_names[entry.old_code]) == fold(old_names[entry.true_source])
        if not same_name or (entry.true_source, entry.new_code) not in kept:
            raise SeedError(f"{entry.true_source} is not the true source behind {entry.old_code} → {entry.new_code}")
    targets = Counter(old for old, _ in kept)
    kept = {pair: default or targets[pair[0]] == 1 for pair, default in kept.items()}
    defaults = Counter(old for (old, _), default in kept.items() if default)
    wrong = sorted({old for old, _ in pairs if defaults[old] != 1})
    if wrong:
        raise SeedError(f"these old units have no single default target: {', '.join(wrong)}")
    return kept


def build_moves(source: Source, units: Iterable[Unit]) -> list[Move]:
    """Return the old → new pairs of provinces, communes and the five island districts."""
    ending = {u.unit_code: u for u in units if u.valid_from < REFORM}
    starting = {u.unit_code: u for u in units if u.valid_from <= REFORM and (u.valid_to is None or u.valid_to > REFORM)}
    old_names = {code: unit.name_vi for code, unit in ending.items()}
    communes = drop_false_pairs(commune_pairs(source), FALSE_PAIRS, old_names)
    provinces = {(old, new): True for new, old in province_pairs(source)}
    pairs = {**provinces, **communes}
    target_counts = Counter(old for old, _ in pairs)
    source_counts = Counter(new for _, new in pairs)
    return [
        Move(
            old_unit_key=ending[old].unit_key,
            new_unit_key=starting[new].unit_key,
            old_code=old,
            new_code=new,
            old_level=ending[old].level,
            new_level=starting[new].level,
            old_province_code=ending[old].province_code,
            new_province_code=starting[new].province_code,
            effective_date=REFORM,
            is_split=target_counts[old] > 1,
            is_default=default,
            target_count=target_counts[old],
            source_count=source_counts[new],
        )
        for (old, new), default in pairs.items()
    ]


def build(source: Source) -> Seeds:
    """Return both seeds in their final order."""
    base = old_and_new_units(source)
    moves = build_moves(source, base)
    units = amend(base, AMENDMENTS)
    return Seeds(
        units=tuple(sorted(units, key=lambda u: (LEVELS.index(u.level), u.unit_code, u.valid_from))),
        moves=tuple(sorted(moves, key=lambda m: (LEVELS.index(m.old_level), m.old_code, m.new_code))),
    )


def render(rows: Iterable[Unit] | Iterable[Move], row_type: type[Unit] | type[Move]) -> str:
    """Return the rows as CSV text: header, LF, ISO dates, true/false, nothing for null."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(field.name for field in fields(row_type))
    for row in rows:
        writer.writerow(cell(value) for value in asdict(row).values())
    return buffer.getvalue()


def cell(value: object) -> str:
    """Return one value as CSV text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date) else str(value)


def render_all(seeds: Seeds) -> dict[str, str]:
    """Return {file name: CSV text} of the two seeds."""
    return {UNITS_FILE: render(seeds.units, Unit), MAPPING_FILE: render(seeds.moves, Move)}


def main(argv: list[str] | None = None) -> int:
    """Write or check the seeds; returns the process exit code."""
    parser = argparse.ArgumentParser(description="Build the administrative-unit seeds.")
    parser.add_argument("--wheel", type=Path, help=f"{PACKAGE} {VERSION} wheel; fetched with pip when left out")
    parser.add_argument("--out", type=Path, default=SEEDS, help="folder of the CSV files")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when a file would change")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        source = read_wheel(arguments.wheel or fetch_wheel(Path(folder)))
    files = render_all(build(source))
    stale = [
        name
        for name, text in files.items()
        if not (arguments.out / name).is_file() or (arguments.out / name).read_text(encoding="utf-8") != text
    ]
    if arguments.check:
        for name in stale:
            print(f"{name} differs: run python scripts/administrative_units.py")
        return 1 if stale else 0
    for name in stale:
        (arguments.out / name).write_text(files[name], encoding="utf-8")
    print(f"{', '.join(stale) or 'nothing'} written to {arguments.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
