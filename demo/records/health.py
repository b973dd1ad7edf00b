"""Health: facilities, visits with their drugs and services, papers of births and deaths."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demo import text
from demo.people import FAR, YEAR, People, serials
from demo.profile import stream
from demo.records.education import ethnicity_codes
from demo.table import Table, World, falses, serial_ids
from demo.text import MINUTES, Array


def co_so_kcb(world: World) -> Table:
    """Facilities."""
    rng = stream(world.seed, "health", "co_so_kcb")
    sites = world.facilities
    after = np.ones(sites.n, dtype=bool)
    beds = np.select([sites.level == 4, sites.level == 3], [5, 150], 500) + rng.integers(0, 3, sites.n) * 5
    return Table(
        "health",
        "co_so_kcb",
        "MA_CSKCB",
        {
            "MA_CSKCB": sites.code,
            "TEN_CSKCB": sites.name,
            "HANG": text.only(
                sites.level < 4, text.number(np.where(sites.level == 3, 2 + rng.integers(0, 2, sites.n), 1))
            ),
            "TUYEN": text.number(sites.level),
            "LOAI_HINH": text.either(np.arange(sites.n) == sites.n - 1, "2", "1"),
            "MA_XA": world.units.code(sites.place, after),
            "MA_HUYEN": world.units.district_code(sites.place, after),
            "MA_TINH": world.units.province_code(sites.place, after),
            "SO_GIUONG": pa.array(beds),
            "DANG_HOAT_DONG": pa.array(after),
        },
    )


def choose_facility(world: World, rng: np.random.Generator, place: np.ndarray) -> np.ndarray:
    """Station at home, the district hospital, or one of the large ones."""
    u = rng.random(len(place))
    large = world.facilities.n - 4 + rng.integers(0, 4, len(place))
    return np.where(u < 0.5, place, np.where(u < 0.86, world.facilities.hospital_of(place), large))


def _residence(world: World, people: People, after: np.ndarray) -> dict[str, Array]:
    return {
        "MATINH_CU_TRU": world.units.province_code(people.place, after),
        "MAHUYEN_CU_TRU": world.units.district_code(people.place, after),
        "MAXA_CU_TRU": world.units.code(people.place, after),
        "DIA_CHI": world.units.address(people.hamlet, people.place, after),
    }


def _sex(female: np.ndarray) -> Array:
    return text.either(female, "2", "1")


def visits(
    world: World,
    rng: np.random.Generator,
    people: People,
    arrival: np.ndarray,
    first_number: int,
    ids: tuple[int, int, int],
    ends: bool = False,
) -> tuple[Table, Table, Table]:
    """XML1, XML2, XML3 of visits: one person and one arrival (minutes since 1970) each; `ids`: first record number of each table.

    Visits are numbered from `first_number` on. With `ends`, `arrival` gives the day the patient leaves: those who stay came before.
    No stamps: see `stamp_visits`.
    """
    n = len(people)
    facility = choose_facility(world, rng, people.place)
    inpatient = (world.facilities.level[facility] < 4) & (rng.random(n) < 0.16)
    nights = np.where(inpatient, 2 + rng.integers(0, 8, n), 0)
    if ends:
        arrival = arrival - nights * MINUTES
    day = arrival // MINUTES
    after = day >= world.profile.reform
    code = text.pick(world.facilities.code, facility)
    link = text.concat(code, ".", text.fixed(_yymmdd(day), 6), ".", text.fixed(first_number + np.arange(n), 8))
    leaving = np.where(
        inpatient, arrival + nights * MINUTES + rng.integers(0, 240, n), arrival + rng.integers(45, 260, n)
    )
    age = (day - people.born) / YEAR

    group = people.insurance_group
    has_card = pc.is_valid(group).to_numpy(zero_copy_only=False)
    level = np.where(has_card, pc.fill_null(pc.utf8_slice_codeunits(group, 2, 3), "0").cast(pa.int64()).to_numpy(), 0)
    share = np.select([level == 4, level == 3, level == 0], [80, 95, 0], 100)
    short_card = rng.random(n) < 0.3
    card = text.concat(group, text.pick(world.units.province, people.place), people.insurance)
    card = text.only(has_card, text.either(short_card, people.insurance, card))

    drugs, drug_sum = _drug_lines(world, rng, link, arrival, share, ids[1])
    services, service_sum = _service_lines(world, rng, link, arrival, leaving, inpatient, nights, age, share, ids[2])
    total = drug_sum + service_sum
    paid = np.floor(total * share / 100)

    adult = age >= 14
    paper = people.known_id(day)
    old = (
        adult
        & pc.is_valid(people.old_id).to_numpy(zero_copy_only=False)
        & (rng.random(n) < world.profile.number("old_paper_visits"))
    )
    paper = text.either(old, people.old_id, paper)
    paper = text.only(~(adult & (rng.random(n) < world.profile.number("no_paper_adults"))), paper)
    illness = text.pool(world.profile.data["icd10"])
    weights = 1 / (np.arange(len(illness)) + 4.0)
    main = text.pick(illness, rng.choice(len(illness), n, p=weights / weights.sum()))
    main = text.either(people.female | (np.array(pc.not_equal(main, "O80.0"))), main, "J06.9")
    second = text.pick(illness, rng.integers(0, max(len(illness) - 3, 1), n))
    emergency = rng.random(n) < 0.06
    object_kind = text.either(~has_card, "9", text.either(emergency, "2", text.either(rng.random(n) < 0.9, "1", "3")))
    department = text.either(~inpatient, "K01", text.pick(text.pool(["K03", "K11", "K19"]), rng.integers(0, 3, n)))
    department = text.either(inpatient & (age < 15), "K18", department)
    card_from = text.new_year(text.year(day))
    home = text.pick(
        world.facilities.code, np.where(people.id % 5 < 3, people.place, world.facilities.hospital_of(people.place))
    )
    xml1 = Table(
        "health",
        "xml1",
        "ID",
        {
            "ID": serial_ids(ids[0], n),
            "MA_LK": link,
            "MA_BN": text.concat(code, ".", text.fixed(people.id, 8)),
            "HO_TEN": people.name,
            "SO_CCCD": paper,
            "NGAY_SINH": text.concat(
                text.compact(people.born), text.either(age < 1, text.fixed(_hhmm(people.birth_minute), 4), "0000")
            ),
            "GIOI_TINH": _sex(people.female),
            "MA_DANTOC": text.pick(ethnicity_codes(world), people.ethnicity),
            **_residence(world, people, after),
            "DIEN_THOAI": people.phone,
            "MA_THE_BHYT": card,
            "MA_DKBD": text.only(has_card, home),
            "GT_THE_TU": text.only(has_card, text.compact(card_from)),
            "GT_THE_DEN": text.only(has_card, text.concat(text.fixed(text.year(day), 4), "1231")),
            "MA_DOITUONG_KCB": object_kind,
            "NGAY_VAO": text.compact_minutes(arrival),
            "NGAY_RA": text.compact_minutes(leaving),
            "NGAY_TTOAN": text.compact_minutes(leaving + rng.integers(0, 31, n)),
            "SO_NGAY_DTRI": pa.array(nights),
            "MA_BENH_CHINH": main,
            "MA_BENH_KT": text.only(rng.random(n) < 0.3, second),
            "KET_QUA_DTRI": text.number(rng.choice([1, 2, 3, 4], n, p=[0.45, 0.45, 0.08, 0.02])),
            "MA_LOAI_RV": text.number(rng.choice([1, 2, 4], n, p=[0.93, 0.05, 0.02])),
            "MA_LOAI_KCB": text.either(inpatient, "03", text.either(rng.random(n) < 0.12, "02", "01")),
            "MA_KHOA": department,
            "MA_CSKCB": code,
            "T_THUOC": pa.array(drug_sum),
            "T_DICH_VU": pa.array(service_sum),
            "T_TONGCHI_BV": pa.array(total),
            "T_TONGCHI_BH": pa.array(np.where(has_card, total, 0.0)),
            "T_BNTT": pa.array(np.where(has_card, 0.0, total)),
            "T_BNCCT": pa.array(np.where(has_card, total - paid, 0.0)),
            "T_BHTT": pa.array(np.where(has_card, paid, 0.0)),
            "T_NGUONKHAC": pa.array(np.zeros(n)),
        },
        people={"self": people.id},
        place=people.place,
        after=after,
        old_ids=people.old_id,
    )
    return xml1, drugs, services


def stamp_visits(world: World, rng: np.random.Generator, tables: tuple[Table, Table, Table]) -> None:
    """Gives the rows of a seed the time they were sent: up to two days after the patient left."""
    xml1 = tables[0]
    left = pc.strptime(xml1.columns["NGAY_RA"], format="%Y%m%d%H%M", unit="s").cast(pa.int64()).to_numpy() // 60
    sent = np.minimum(left + rng.integers(10, 2 * MINUTES, xml1.n), world.profile.as_of * MINUTES + 1435)
    stamps = text.moments(sent, rng)
    for table in tables:
        rows = stamps if table is xml1 else stamps.take(pc.index_in(table.columns["MA_LK"], xml1.columns["MA_LK"]))
        table.columns["THOI_GIAN_CAP_NHAT"] = rows
        table.columns["DA_XOA"] = falses(table.n)


def _yymmdd(days: np.ndarray) -> np.ndarray:
    y, m, d = text.ymd(days)
    return y % 100 * 10_000 + m * 100 + d


def _hhmm(minute: np.ndarray) -> np.ndarray:
    return minute // 60 * 100 + minute % 60


def _drug_lines(
    world: World, rng: np.random.Generator, link: Array, arrival: np.ndarray, share: np.ndarray, start: int
) -> tuple[Table, np.ndarray]:
    visits_n = len(arrival)
    count = rng.choice(6, visits_n, p=[0.12, 0.24, 0.32, 0.20, 0.09, 0.03])
    visit = np.repeat(np.arange(visits_n), count)
    n = len(visit)
    listed = world.profile.data["drugs"]
    drug = rng.integers(0, len(listed), n)
    price = np.array([float(row[4]) for row in listed])[drug]
    quantity = np.where(price > 5000, rng.integers(1, 3, n), rng.integers(5, 31, n)).astype(float)
    amount = price * quantity

    def field(at: int) -> Array:
        return text.pick(text.pool([str(row[at]) for row in listed]), drug)

    table = Table(
        "health",
        "xml2",
        "ID",
        {
            "ID": serial_ids(start, n),
            "MA_LK": text.pick(link, visit),
            "STT": pa.array(serials(visit) + 1),
            "MA_THUOC": field(0),
            "TEN_THUOC": field(1),
            "DON_VI_TINH": field(2),
            "SO_DANG_KY": field(3),
            "SO_LUONG": pa.array(quantity),
            "DON_GIA": pa.array(price),
            "THANH_TIEN_BV": pa.array(amount),
            "THANH_TIEN_BH": pa.array(np.where(share[visit] > 0, amount, 0.0)),
            "MUC_HUONG": pa.array(share[visit]),
            "NGAY_YL": text.compact_minutes(arrival[visit] + rng.integers(10, 45, n)),
        },
    )
    return table, np.bincount(visit, weights=amount, minlength=visits_n)


def _service_lines(
    world: World,
    rng: np.random.Generator,
    link: Array,
    arrival: np.ndarray,
    leaving: np.ndarray,
    inpatient: np.ndarray,
    nights: np.ndarray,
    age: np.ndarray,
    share: np.ndarray,
    start: int,
) -> tuple[Table, np.ndarray]:
    visits_n = len(arrival)
    listed = world.profile.data["services"]
    bed = next(at for at, row in enumerate(listed) if row[2] == "15")
    others = np.array([at for at, row in enumerate(listed) if row[2] not in ("13", "15")])
    count = 1 + rng.choice(4, visits_n, p=[0.36, 0.36, 0.20, 0.08]) + inpatient
    visit = np.repeat(np.arange(visits_n), count)
    line = serials(visit)
    n = len(visit)
    service = others[rng.integers(0, len(others), n)]
    service = np.where(line == 0, np.where(age[visit] < 15, 1, 0), service)
    service = np.where((line == 1) & inpatient[visit], bed, service)
    price = np.array([float(row[3]) for row in listed])[service]
    quantity = np.where(service == bed, nights[visit], 1).astype(float)
    amount = price * quantity
    ordered = arrival[visit] + np.where(line == 0, rng.integers(2, 10, n), rng.integers(10, 40, n))
    done = np.minimum(ordered + rng.integers(0, 60, n), leaving[visit])
    code = text.pick(text.pool([row[0] for row in listed]), service)
    material = np.array([row[0].startswith("VT") for row in listed])[service]
    table = Table(
        "health",
        "xml3",
        "ID",
        {
            "ID": serial_ids(start, n),
            "MA_LK": text.pick(link, visit),
            "STT": pa.array(line + 1),
            "MA_DICH_VU": text.only(~material, code),
            "MA_VAT_TU": text.only(material, code),
            "MA_NHOM": text.pick(text.pool([row[2] for row in listed]), service),
            "TEN_DICH_VU": text.pick(text.pool([row[1] for row in listed]), service),
            "SO_LUONG": pa.array(quantity),
            "DON_GIA_BV": pa.array(price),
            "DON_GIA_BH": pa.array(np.where(share[visit] > 0, price, 0.0)),
            "THANH_TIEN_BV": pa.array(amount),
            "THANH_TIEN_BH": pa.array(np.where(share[visit] > 0, amount, 0.0)),
            "MUC_HUONG": pa.array(share[visit]),
            "NGAY_YL": text.compact_minutes(ordered),
            "NGAY_TH_YL": text.compact_minutes(done),
        },
    )
    return table, np.bincount(visit, weights=amount, minlength=visits_n)


def giay_chung_sinh(
    world: World, rng: np.random.Generator, children: People, mothers: People, father_names: Array, start: int
) -> Table:
    """Papers of births in a facility; `mothers` and `father_names` in the order of `children`. No stamp."""
    n = len(children)
    after = children.born >= world.profile.reform
    planned = rng.random(n) < 0.6
    minute = children.born * MINUTES + children.birth_minute
    return Table(
        "health",
        "giay_chung_sinh",
        "ID",
        {
            "ID": serial_ids(start, n),
            "MA_GCS": children.birth_certificate,
            "MA_CSKCB": pc.utf8_slice_codeunits(children.birth_certificate, 4, 9),
            "HO_TEN_ME": mothers.name,
            "NGAY_SINH_ME": text.concat(text.compact(mothers.born), "0000"),
            "SO_CCCD_ME": text.only(rng.random(n) < 0.97, mothers.personal_id),
            "MA_DANTOC_ME": text.pick(ethnicity_codes(world), mothers.ethnicity),
            **_residence(world, mothers, after),
            "HO_TEN_CHA": text.only(rng.random(n) < 0.95, father_names),
            "TEN_CON": text.only(planned, children.name),
            "GIOI_TINH_CON": _sex(children.female),
            "NGAY_SINH_CON": text.compact_minutes(minute),
            "CAN_NANG_CON": pa.array(np.clip(rng.normal(3100, 420, n), 900, 5200).astype(np.int64) // 50 * 50),
            "SO_CON": pa.array(np.ones(n, dtype=np.int64)),
            "LAN_SINH": pa.array(np.maximum(mothers.births, 1)),
            "NGAY_CT": text.compact(
                np.minimum(children.born + rng.integers(0, 4, n), np.maximum(world.profile.as_of, children.born))
            ),
        },
        people={"mother": mothers.id, "child": children.id},
        place=mothers.place,
        after=after,
    )


def giay_bao_tu(world: World, rng: np.random.Generator, dead: People, start: int) -> Table:
    """Papers of deaths in a facility. No stamp."""
    n = len(dead)
    after = dead.died >= world.profile.reform
    causes = world.profile.data["causes_of_death"]
    minute = dead.died * MINUTES + rng.integers(0, MINUTES, n)
    return Table(
        "health",
        "giay_bao_tu",
        "ID",
        {
            "ID": serial_ids(start, n),
            "MA_GBT": dead.death_certificate,
            "MA_CSKCB": pc.utf8_slice_codeunits(dead.death_certificate, 4, 9),
            "HO_TEN": dead.name,
            "SO_CCCD": text.only(rng.random(n) < 0.95, dead.known_id(dead.died)),
            "NGAY_SINH": text.concat(text.compact(dead.born), "0000"),
            "GIOI_TINH": _sex(dead.female),
            "MA_DANTOC": text.pick(ethnicity_codes(world), dead.ethnicity),
            **_residence(world, dead, after),
            "NGAY_TU_VONG": text.compact_minutes(minute),
            "MA_NGUYEN_NHAN": text.pick(text.pool([row[0] for row in causes]), cause_of(world, dead.id)),
            "NGAY_CT": text.compact(
                np.minimum(dead.died + rng.integers(0, 2, n), np.maximum(world.profile.as_of, dead.died))
            ),
        },
        people={"self": dead.id},
        place=dead.place,
        after=after,
        old_ids=dead.old_id,
    )


def cause_of(world: World, ids: np.ndarray) -> np.ndarray:
    """Number of the cause a person dies of: the same in every sector."""
    return (ids * 48_271 >> 3) % len(world.profile.data["causes_of_death"])


def arrivals(
    rng: np.random.Generator, people: People, first: np.ndarray, last: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(minutes since 1970, possible): a moment in office hours between two days in which the person lives."""
    low = np.maximum(first, people.born + 1)
    high = np.minimum(last, np.where(people.died == FAR, last, people.died - 12))
    day = low + (rng.random(len(people)) * np.maximum(high - low + 1, 1)).astype(np.int64)
    return day * MINUTES + rng.integers(390, 1050, len(people)), high >= low
