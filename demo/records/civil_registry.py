"""Civil registry: births, marriages, deaths, recognition of parents, corrections, and the offices that register."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demo import text
from demo.people import FAR, NOBODY, YEAR, Names, People
from demo.profile import stream, to_date
from demo.records.health import cause_of
from demo.table import Table, World, serial_ids
from demo.text import Array

# (dataset, office and year of each row) → the number of the first entry of each row in its book
Numbers = Callable[[str, Array, np.ndarray], np.ndarray]
WORDS = ("không", "một", "hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín")


def noi_dang_ky(world: World) -> Table:
    """Offices: the communes before the reform, those after it, and the districts before it."""
    units = world.units
    districts = sorted(
        set(zip(units.district.to_pylist(), units.district_name.to_pylist(), units.province.to_pylist(), strict=True))
    )
    reform = to_date(world.profile.reform)
    last = to_date(world.profile.reform)
    start = to_date(-16_071)  # 1926-01-01: before anyone's registration
    rows: list[tuple[object, ...]] = []
    for code, name, district, province in zip(
        units.old_code.to_pylist(),
        units.old_name.to_pylist(),
        units.district.to_pylist(),
        units.province.to_pylist(),
        strict=True,
    ):
        rows.append((code, start, last, f"UBND {name}", "1", district, province))
    for code, name, province in districts:
        rows.append((code, start, last, f"UBND {name}", "2", code, province))
    for code, name in zip(units.new_code.to_pylist(), units.new_name.to_pylist(), strict=True):
        rows.append((code, reform, None, f"UBND {name}", "1", None, "44"))
    names = ("maDVHC", "hieuLucTu", "hieuLucDen", "tenNoiDangKy", "capDangKy", "maHuyen", "maTinh")
    return Table(
        "civil_registry",
        "noi_dang_ky",
        "maDVHC",
        {name: pa.array([row[at] for row in rows]) for at, name in enumerate(names)},
    )


def _book(world: World, table: str, place: np.ndarray, day: np.ndarray, numbers: Numbers) -> dict[str, Array]:
    after = day >= world.profile.reform
    office = world.units.code(place, after)
    year = text.year(day)
    number = numbers(table, office, year) + 1
    return {
        "so": text.number(number),
        "quyenSo": text.concat(text.fixed(1 + number // 400, 2), "/", text.fixed(year, 4)),
        "trangSo": text.number((number - 1) % 200 + 1),
        "ngayDangKy": text.dates(day),
        "noiDangKy": office,
        "maHuyen": world.units.district_code(place, after),
    }


def _ethnic_text(world: World, rng: np.random.Generator, ethnicity: np.ndarray) -> Array:
    groups = world.profile.data["ethnicities"]
    flat = [name for group in groups for name in group["hotich"]]
    sizes = np.array([len(group["hotich"]) for group in groups])
    first = np.cumsum(sizes) - sizes
    return text.pick(
        text.pool(flat), first[ethnicity] + (rng.random(len(ethnicity)) * sizes[ethnicity]).astype(np.int64)
    )


def _party(
    world: World,
    rng: np.random.Generator,
    prefix: str,
    people: People,
    day: np.ndarray,
    known: np.ndarray,
    home: bool = True,
) -> dict[str, Array]:
    """The columns of one party of a registration on a day; null where not `known`."""
    n = len(people)
    modern = day >= text.new_year(2016)
    has_old = pc.is_valid(people.old_id).to_numpy(zero_copy_only=False)
    old_paper = has_old & (day < text.new_year(2021)) & (rng.random(n) < 0.8)
    number = text.either(old_paper, people.old_id, people.personal_id)
    number = text.only(known & (day >= text.new_year(1995)) & (rng.random(n) < 0.95), number)
    kind = text.only(pc.is_valid(number).to_numpy(zero_copy_only=False), text.either(old_paper, "1", "4"))
    born = text.either(modern, text.dotted(people.born), text.fixed(text.year(people.born), 4))
    after = day >= world.profile.reform
    return {
        f"{prefix}HoTen": text.only(known, people.name),
        f"{prefix}NgaySinh": text.only(known, born),
        f"{prefix}DanToc": text.only(known, _ethnic_text(world, rng, people.ethnicity)),
        f"{prefix}QuocTich": text.only(known, text.const("Việt Nam", n)),
        f"{prefix}LoaiCuTru": text.only(known, text.either(rng.random(n) < 0.96, "1", "2")),
        f"{prefix}NoiCuTru": text.only(known, world.units.address(people.hamlet, people.place, after)),
        f"{prefix}LoaiGiayToTuyThan": kind,
        f"{prefix}SoGiayToTuyThan": number,
    }


def _day_words(days: np.ndarray) -> Array:
    """A date in words, the way registers write it."""

    def words(number: int) -> str:
        if number < 10:
            return "mồng " + WORDS[number]
        tens, ones = divmod(number, 10)
        tail = "" if ones == 0 else " " + ("lăm" if ones == 5 else "mốt" if ones == 1 and tens > 1 else WORDS[ones])
        return ("mười" if tens == 1 else f"{WORDS[tens]} mươi") + tail

    def year_words(number: int) -> str:
        thousands, rest = divmod(number, 1000)
        hundreds, rest = divmod(rest, 100)
        low = "" if rest == 0 else (" linh " + WORDS[rest] if rest < 10 else " " + words(rest))
        return f"{WORDS[thousands]} nghìn {WORDS[hundreds]} trăm{low}"

    y, m, d = text.ymd(days)
    low, high = (int(y.min()), int(y.max())) if len(y) else (2000, 2000)
    day_pool = text.pool([words(number) for number in range(1, 32)])
    month_pool = text.pool([WORDS[number] if number < 10 else words(number) for number in range(1, 13)])
    year_pool = text.pool([year_words(number) for number in range(low, high + 1)])
    return text.concat(
        "Ngày ",
        text.pick(day_pool, d - 1),
        ", tháng ",
        text.pick(month_pool, m - 1),
        ", năm ",
        text.pick(year_pool, y - low),
    )


def khai_sinh(
    world: World,
    rng: np.random.Generator,
    children: People,
    mothers: People,
    fathers: People,
    start: int,
    numbers: Numbers,
) -> Table:
    """Birth registrations on each child's day of registration. Parents with id NOBODY are outside the population: names only."""
    n = len(children)
    day, born = children.registered, children.born
    has_mother, has_father = children.mother != NOBODY, children.father != NOBODY
    delay = day - born
    again = (delay > 8 * YEAR) & ~has_mother
    kind = text.either(again, "2", text.either(delay > 60, "4", "1"))
    parties = _party(world, rng, "me", mothers, day, has_mother) | _party(world, rng, "cha", fathers, day, has_father)
    names = Names(world.profile)
    woman, man = np.ones(n, dtype=bool), np.zeros(n, dtype=bool)
    tribe = children.ethnicity > 0
    family = pc.list_element(pc.split_pattern(children.name, " ", max_splits=1), 0)
    unknown_mother = text.concat(names.family(rng, tribe), " ", names.given(rng, woman, tribe))
    unknown_father = text.concat(family, " ", names.given(rng, man, tribe))
    recorded = rng.random(n) < 0.9
    parties["meHoTen"] = text.either(has_mother, mothers.name, text.only(recorded, unknown_mother))
    parties["chaHoTen"] = text.either(
        has_father, fathers.name, text.only(recorded & (rng.random(n) < 0.97), unknown_father)
    )
    by_father = has_father & (rng.random(n) < 0.7)
    asker = text.either(by_father, fathers.name, parties["meHoTen"])
    after = day >= world.profile.reform
    born_after = born >= world.profile.reform
    site = pc.is_valid(children.birth_certificate).to_numpy(zero_copy_only=False)
    hospital = text.pick(world.facilities.name, world.facilities.hospital_of(children.birth_place))
    birth_address = world.units.address(None, children.birth_place, born_after)
    source = text.either(
        day >= text.new_year(2022), "trực tuyến", text.either(day >= text.new_year(2016), "phần mềm", "số hóa")
    )
    return Table(
        "civil_registry",
        "khai_sinh",
        "id",
        {
            "id": serial_ids(start, n),
            **_book(world, "khai_sinh", children.birth_place, day, numbers),
            "loaiDangKy": kind,
            "nksSoDinhDanh": text.only(day >= text.new_year(2016), children.personal_id),
            "nksHoTen": children.name,
            "nksGioiTinh": text.either(children.female, "2", "1"),
            "nksNgaySinh": text.dotted(born),
            "nksNgaySinhBangChu": _day_words(born),
            "nksNoiSinh": text.either(site, text.concat(hospital, ", ", birth_address), birth_address),
            "nksNoiSinhDVHC": world.units.code(children.birth_place, born_after),
            "nksQueQuan": world.units.address(
                None, np.where(has_father, fathers.birth_place, children.birth_place), after
            ),
            "nksDanToc": _ethnic_text(world, rng, children.ethnicity),
            "nksQuocTich": text.const("Việt Nam", n),
            "soGiayChungSinh": children.birth_certificate,
            **parties,
            "nycHoTen": asker,
            "nycQuanHe": text.only(
                pc.is_valid(asker).to_numpy(zero_copy_only=False), text.either(by_father, "Cha", "Mẹ")
            ),
            "thongTinKhac": text.concat('{"nguon": "', source, '"}'),
        },
        people={
            "self": children.id,
            "mother": np.where(has_mother, children.mother, NOBODY),
            "father": np.where(has_father, children.father, NOBODY),
        },
        place=children.birth_place,
        after=after,
    )


def ket_hon(
    world: World, rng: np.random.Generator, husbands: People, wives: People, start: int, numbers: Numbers
) -> Table:
    """Marriages on the day of marriage, at the wife's commune."""
    n = len(wives)
    day = wives.married
    ended = (husbands.died < FAR) | (wives.died < FAR)
    return Table(
        "civil_registry",
        "ket_hon",
        "id",
        {
            "id": serial_ids(start, n),
            **_book(world, "ket_hon", wives.birth_place, day, numbers),
            "loaiDangKy": text.either(rng.random(n) < 0.98, "1", "2"),
            **_party(world, rng, "chong", husbands, day, np.ones(n, dtype=bool)),
            **_party(world, rng, "vo", wives, day, np.ones(n, dtype=bool)),
            "tinhTrangKetHon": text.either(~ended & (rng.random(n) < 0.03), "2", "1"),
        },
        people={"husband": husbands.id, "wife": wives.id},
        place=wives.birth_place,
        after=day >= world.profile.reform,
    )


def khai_tu(world: World, rng: np.random.Generator, dead: People, start: int, numbers: Numbers) -> Table:
    """Death registrations on each person's day of death registration."""
    n = len(dead)
    day = dead.death_registered
    after = day >= world.profile.reform
    paper = pc.is_valid(dead.death_certificate).to_numpy(zero_copy_only=False)
    hospital = text.pick(world.facilities.name, world.facilities.hospital_of(dead.place))
    home = world.units.address(dead.hamlet, dead.place, after)
    party = _party(world, rng, "nkt", dead, day, np.ones(n, dtype=bool))
    party["nktNgaySinh"] = text.dotted(dead.born)
    no_number = pc.is_null(dead.known_id(dead.died)).to_numpy(zero_copy_only=False)
    for column in ("nktLoaiGiayToTuyThan", "nktSoGiayToTuyThan"):
        party[column] = text.only(~no_number, party[column])
    relation = text.pick(
        text.pool(["Con", "Vợ hoặc chồng", "Cháu", "Anh chị em"]), rng.choice(4, n, p=[0.6, 0.2, 0.12, 0.08])
    )
    names = Names(world.profile)
    tribe = dead.ethnicity > 0
    asker_female = rng.random(n) < 0.4
    family = pc.list_element(pc.split_pattern(dead.name, " ", max_splits=1), 0)
    minute = rng.integers(0, text.MINUTES, n)
    causes = text.pool([row[1] for row in world.profile.data["causes_of_death"]])
    return Table(
        "civil_registry",
        "khai_tu",
        "id",
        {
            "id": serial_ids(start, n),
            **_book(world, "khai_tu", dead.place, day, numbers),
            "loaiDangKy": text.either(day - dead.died > 15, "4", "1"),
            "nktGioiTinh": text.either(dead.female, "2", "1"),
            "nktSoDinhDanh": text.only(rng.random(n) < 0.96, dead.known_id(dead.died)),
            **party,
            "nktNgayChet": text.dotted(dead.died),
            "nktGioPhutChet": text.concat(text.fixed(minute // 60, 2), ":", text.fixed(minute % 60, 2)),
            "nktNoiChet": text.either(paper, hospital, home),
            "nktNguyenNhanChet": text.pick(causes, cause_of(world, dead.id)),
            "gbtSo": dead.death_certificate,
            "gbtNgay": text.dates(np.where(paper, dead.died, 0), paper),
            "gbtCoQuanCap": text.only(paper, hospital),
            "nycHoTen": text.concat(family, " ", names.given(rng, asker_female, tribe)),
            "nycQuanHe": relation,
        },
        people={"self": dead.id},
        place=dead.place,
        after=after,
        old_ids=dead.old_id,
    )


def nhan_cha_me_con(
    world: World,
    rng: np.random.Generator,
    children: People,
    fathers: People,
    day: np.ndarray,
    start: int,
    numbers: Numbers,
) -> Table:
    """Fathers recognise their children on a day."""
    n = len(children)
    book = _book(world, "nhan_cha_me_con", fathers.place, day, numbers)
    return Table(
        "civil_registry",
        "nhan_cha_me_con",
        "id",
        {
            "id": serial_ids(start, n),
            **book,
            "quyetDinhSo": text.concat(book["so"], "/QĐ-UBND"),
            "loaiDangKy": text.const("1", n),
            "loaiXacNhan": text.const("1", n),
            **_party(world, rng, "cm", fathers, day, np.ones(n, dtype=bool)),
            "ncHoTen": children.name,
            "ncNgaySinh": text.dotted(children.born),
            "ncDanToc": _ethnic_text(world, rng, children.ethnicity),
            "ncSoDinhDanh": children.known_id(day),
        },
        people={"parent": fathers.id, "child": children.id},
        place=fathers.place,
        after=day >= world.profile.reform,
    )


def cai_chinh(
    world: World,
    rng: np.random.Generator,
    people: People,
    old_names: Array,
    new_names: Array,
    day: np.ndarray,
    origin: Array,
    start: int,
    numbers: Numbers,
) -> Table:
    """Corrections of the name in the birth register on a day; `origin`: record numbers in khai_sinh, null: not digitised."""
    n = len(people)
    reasons = ["Ghi sai họ, chữ đệm, tên so với giấy chứng sinh", "Sai sót khi đăng ký", "Thay đổi theo nguyện vọng"]
    return Table(
        "civil_registry",
        "cai_chinh",
        "id",
        {
            "id": serial_ids(start, n),
            **_book(world, "cai_chinh", people.place, day, numbers),
            "loaiDangKy": text.either(rng.random(n) < 0.75, "2", "1"),
            "loaiGiayToGoc": text.const("1", n),
            "idGoc": origin,
            "nccHoTen": old_names,
            "nccGioiTinh": text.either(people.female, "2", "1"),
            "nccNgaySinh": text.dotted(people.born),
            "nccSoDinhDanh": people.known_id(day),
            "truongCaiChinh": text.const("nksHoTen", n),
            "giaTriCu": old_names,
            "giaTriMoi": new_names,
            "lyDo": text.pick(text.pool(reasons), rng.integers(0, len(reasons), n)),
        },
        people={"self": people.id},
        place=people.place,
        after=day >= world.profile.reform,
    )


def other_name(world: World, rng: np.random.Generator, people: People) -> Array:
    """Another name of the same family for each person (middle and given name anew)."""
    family = pc.list_element(pc.split_pattern(people.name, " ", max_splits=1), 0)
    given = Names(world.profile).given(rng, people.female, people.ethnicity > 0)
    other = text.concat(family, " ", given)
    same = np.array(pc.equal(other, people.name))
    return text.either(same, text.concat(other, " Em"), other)


def registry_stream(world: World, table: str) -> np.random.Generator:
    """The random stream of one table of the seed."""
    return stream(world.seed, "civil_registry", table)
