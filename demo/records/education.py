"""Education: schools, classes, pupils, teachers, results of the last school year."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from demo import text
from demo.people import FAR, YEAR, People, serials
from demo.profile import stream, to_days
from demo.table import Table, World, falses, serial_ids, stamped
from demo.text import Array

LEVELS = ("01", "02", "03", "04")
LEVEL_NAMES = ("Trường Mầm non", "Trường Tiểu học", "Trường THCS", "Trường THPT")
CAPACITY = (260, 480, 460, 950)
CLASS_SIZE = 34
UPPER_COMMUNES = 3  # an upper secondary school serves that many communes


@dataclass(frozen=True)
class Schools:
    """The schools: numbers 0..n-1."""

    commune: np.ndarray
    level: np.ndarray
    number: np.ndarray
    code: Array
    first: np.ndarray  # [commune, level] → first school
    count: np.ndarray  # [commune, level] → how many


@dataclass(frozen=True)
class Enrolment:
    """Who sits in which class in a school year: positions in the population, school, grade (below 1: nursery), class."""

    year: int
    person: np.ndarray
    school: np.ndarray
    grade: np.ndarray
    klass: np.ndarray
    class_school: np.ndarray
    class_grade: np.ndarray
    class_number: np.ndarray


def school_year(year: int) -> str:
    """2026 → 2026-2027."""
    return f"{year}-{year + 1}"


def current_year(world: World) -> int:
    """The year in which the current school year began."""
    month = (world.profile.as_of - int(text.new_year(text.year(np.array([world.profile.as_of]))[0]))) // 30
    return int(text.year(np.array([world.profile.as_of]))[0]) - (1 if month < 8 else 0)


def grades(born: np.ndarray, year: int) -> np.ndarray:
    """Class of a birth year: 1 in the year one turns six; 0, -1, -2 are nursery."""
    return year - text.year(born) - 5


def level_of(grade: np.ndarray) -> np.ndarray:
    """0 nursery, 1 primary, 2 lower secondary, 3 upper secondary."""
    return (grade > 0).astype(np.int64) + (grade > 5) + (grade > 9)


def _served(world: World, place: np.ndarray, level: np.ndarray) -> np.ndarray:
    commune = world.units.new[place]
    return np.where(level == 3, commune // UPPER_COMMUNES * UPPER_COMMUNES, commune)


def pupils_of(world: World, people: People, year: int) -> np.ndarray:
    """Positions of those enrolled in a school year."""
    grade = grades(people.born, year)
    willing = stream(world.seed, "education", "enrolled").random(len(people))
    limit = np.where(grade > 9, world.profile.number("enrolled_upper"), world.profile.number("enrolled"))
    start = to_days(date(year, 9, 5))
    return np.flatnonzero(
        (grade >= -2) & (grade <= 12) & (willing < limit) & (people.died > start) & (people.born < start)
    )


def build_schools(world: World, people: People) -> Schools:
    """Schools enough for the pupils of the current year; every commune has one of each lower level."""
    pupils = people.take(pupils_of(world, people, current_year(world)))
    level = level_of(grades(pupils.born, current_year(world)))
    commune = _served(world, pupils.place, level)
    n = world.units.n_new
    load = np.bincount(commune * 4 + level, minlength=n * 4).reshape(n, 4)
    count = np.maximum(1, -(-load // np.array(CAPACITY)))
    count[:, 3] = np.where(np.arange(n) % UPPER_COMMUNES == 0, count[:, 3], 0)
    flat = count.reshape(-1)
    cell = np.repeat(np.arange(n * 4), flat)
    first = (np.cumsum(flat) - flat).reshape(n, 4)
    number = np.arange(len(cell)) - first.reshape(-1)[cell]
    code = text.concat(
        "44", text.pick(world.units.new_code, cell // 4), text.number(cell % 4 + 1), text.fixed(number + 1, 2)
    )
    return Schools(cell // 4, cell % 4, number, code, first, count)


def enrol(world: World, people: People, schools: Schools, year: int) -> Enrolment:
    """Seats the pupils of a school year: a school near home, a class of the grade."""
    person = pupils_of(world, people, year)
    pupils = people.take(person)
    grade = grades(pupils.born, year)
    level = level_of(grade)
    commune = _served(world, pupils.place, level)
    household = np.where(pupils.mother > 0, pupils.mother, pupils.id)
    school = schools.first[commune, level] + (household * 2_654_435_761 >> 7) % schools.count[commune, level]
    cell = school * 16 + (grade + 2)
    section = serials(cell) // CLASS_SIZE
    class_cell, klass = np.unique(cell * 64 + section, return_inverse=True)
    class_school = class_cell // 64 // 16
    return Enrolment(
        year, person, school, grade, klass, class_school, class_cell // 64 % 16 - 2, serials(class_school) + 1
    )


def class_codes(schools: Schools, enrolment: Enrolment) -> Array:
    """malop of every class."""
    return text.concat(
        text.pick(schools.code, enrolment.class_school),
        f"-{enrolment.year % 100:02d}-",
        text.fixed(enrolment.class_number, 3),
    )


def grade_code(grade: np.ndarray) -> Array:
    """makhoi."""
    return text.either(grade < 1, "14", text.fixed(np.maximum(grade, 0), 2))


def pupil_numbers(ids: np.ndarray) -> Array:
    """mahocsinh: 10 digits, fixed for life."""
    return text.concat("44", text.fixed((ids * 40_960_001 + 7_654_321) % 100_000_000, 8))


def truong(world: World, schools: Schools) -> Table:
    """Schools."""
    rng = stream(world.seed, "education", "truong")
    n = len(schools.level)
    after = np.ones(n, dtype=bool)
    place = np.searchsorted(np.sort(world.units.new), schools.commune)
    place = np.argsort(world.units.new, kind="stable")[place]
    short = [name.split(" ", 1)[1].removeprefix("khu ") for name in world.units.new_name.to_pylist()]
    name = text.concat(
        text.pick(text.pool(LEVEL_NAMES), schools.level), " ", text.pick(text.pool(short), schools.commune)
    )
    name = text.either(schools.number > 0, text.concat(name, " số ", text.number(schools.number + 1)), name)
    graded = rng.integers(0, 5, n)
    kinds = text.pool(["{14}", "{01,02,03,04,05}", "{06,07,08,09}", "{10,11,12}"])
    return Table(
        "education",
        "truong",
        "matruong",
        {
            "matruong": schools.code,
            "maddtc": text.concat("H50.05.", text.fixed(np.arange(n) + 1, 4)),
            "tentruong": name,
            "manhomcaphoc": text.pick(text.pool(LEVELS), schools.level),
            "maloaihinhtruong": text.either((schools.level == 0) & (rng.random(n) < 0.12), "3", "1"),
            "makhuvuc": text.either(
                world.units.new_urban[schools.commune], "1", text.either(rng.random(n) < 0.3, "3", "2")
            ),
            "diachi_maxa": world.units.code(place, after),
            "diachi_mahuyen": world.units.district_code(place, after),
            "diachi_matinh": world.units.province_code(place, after),
            "datchuanquocgia": pa.array(rng.random(n) < 0.55),
            "datkiemdinhcapdo": pa.array(graded, pa.int64(), mask=graded == 0),
            "nam_thanhlap": pa.array(rng.integers(1955, 2020, n)),
            "cackhoi": text.pick(kinds, schools.level),
        },
        place=place,
        after=after,
    )


def diemtruong(world: World, schools: Schools) -> Table:
    """School sites: the main one of every school, more for nursery and primary schools."""
    rng = stream(world.seed, "education", "diemtruong")
    sites = 1 + np.where(schools.level < 2, rng.integers(0, 3, len(schools.level)), 0)
    school = np.repeat(np.arange(len(sites)), sites)
    site = serials(school)
    n = len(school)
    distance = np.where(site == 0, 0.0, np.round(rng.uniform(0.8, 9.0, n), 1))
    names = text.pick(text.pool(world.profile.data["hamlets"]), rng.integers(0, len(world.profile.data["hamlets"]), n))
    return Table(
        "education",
        "diemtruong",
        "madiemtruong",
        {
            "madiemtruong": text.concat(text.pick(schools.code, school), "-", text.fixed(site, 2)),
            "matruong": text.pick(schools.code, school),
            "tendiemtruong": text.either(site == 0, "Điểm chính", text.concat("Điểm ", names)),
            "ladiemchinh": pa.array(site == 0),
            "kcdentruongchinh": pa.array(distance),
            "phuongtiendilai": text.only(site > 0, text.number(rng.integers(1, 5, n))),
        },
    )


def lop(
    world: World, schools: Schools, enrolment: Enrolment, teacher_codes: Array, school_teachers: np.ndarray
) -> Table:
    """Classes of a school year; `school_teachers` is the first teacher of each school, -1: none."""
    rng = stream(world.seed, "education", "lop", enrolment.year)
    n = len(enrolment.class_school)
    teacher = school_teachers[enrolment.class_school]
    letter = text.pick(text.pool(list("ABCDEGHIKLMNPQRSTUVXY")), (enrolment.class_number - 1) % 21)
    grade = enrolment.class_grade
    named = text.concat(text.number(np.maximum(grade, 1)), letter)
    nursery = text.concat(
        text.pick(text.pool(["Mẫu giáo bé ", "Mẫu giáo nhỡ ", "Mẫu giáo lớn "]), np.clip(grade + 2, 0, 2)), letter
    )
    opened = to_days(date(enrolment.year, 8, 20))
    return Table(
        "education",
        "lop",
        "malop",
        {
            "malop": class_codes(schools, enrolment),
            "matruong": text.pick(schools.code, enrolment.class_school),
            "namhoc": text.const(school_year(enrolment.year), n),
            "makhoi": grade_code(grade),
            "tenlop": text.either(grade < 1, nursery, named),
            "magiaoviencn": text.only(teacher >= 0, text.pick(teacher_codes, np.maximum(teacher, 0))),
            "lopghep": pa.array((grade > 0) & (grade < 6) & (rng.random(n) < 0.03)),
            "lopbantru": pa.array((grade < 6) & (rng.random(n) < 0.6)),
            "thoigiancapnhat": stamped(world.profile.as_of, opened * text.MINUTES + rng.integers(0, 30_000, n), rng),
            "daxoa": falses(n),
        },
    )


def _birth(born: np.ndarray) -> dict[str, Array]:
    return {
        "ngaythangnamsinh": text.dates(born),
        "thangnamsinh": text.const(None, len(born)),
        "namsinh": pa.nulls(len(born), pa.int64()),
    }


def ethnicity_codes(world: World) -> Array:
    """Ethnicity codes by their number in the profile."""
    return text.pool([group["code"] for group in world.profile.data["ethnicities"]])


def _home(world: World, people: People) -> dict[str, Array]:
    after = np.ones(len(people), dtype=bool)
    return {
        "noiohientai_maxa": world.units.code(people.place, after),
        "noiohientai_mahuyen": world.units.district_code(people.place, after),
        "noiohientai_matinh": world.units.province_code(people.place, after),
    }


def hocsinh(
    world: World, schools: Schools, enrolment: Enrolment, people: People, start: int, left: np.ndarray | None = None
) -> Table:
    """Pupils of a school year, `people` in the order of the enrolment; `left`: only these rows, as graduates."""
    rng = stream(world.seed, "education", "hocsinh", enrolment.year)
    n = len(people)
    after = np.ones(n, dtype=bool)
    born_after = people.born >= world.profile.reform
    age = (world.profile.as_of - people.born) / YEAR
    entered = to_days(date(enrolment.year, 9, 1))
    status = np.where(rng.random(n) < 0.004, 4, np.where(rng.random(n) < 0.006, 2, 1))
    if left is not None:
        status = np.full(n, 5)
    height = np.round(np.clip(50 + 6.2 * age + 25 * (1 - np.exp(-age / 3)) + rng.normal(0, 5, n), 75, 192), 1)
    weight = np.round(np.clip(3 + 2.1 * age + 0.07 * age**2 + rng.normal(0, 2.5, n), 8, 95), 1)
    grade = enrolment.grade
    first_grade = np.select([grade < 1, grade < 6, grade < 10], [-2, 1, 6], 10)
    moment = entered * text.MINUTES + rng.integers(0, 55 * text.MINUTES, n)
    if left is not None:
        moment = to_days(date(enrolment.year + 1, 7, 1)) * text.MINUTES + rng.integers(0, 20_000, n)
    table = Table(
        "education",
        "hocsinh",
        "id",
        {
            "id": serial_ids(start, n),
            "mahocsinh": pupil_numbers(people.id),
            "matruong": text.pick(schools.code, enrolment.school),
            "malop": text.pick(class_codes(schools, enrolment), enrolment.klass),
            "namhoc": text.const(school_year(enrolment.year), n),
            "matrangthaihientai": text.number(status),
            "malydothoihoc": text.only(
                status == 4, text.pick(text.pool(["01", "02", "03", "04", "09"]), rng.integers(0, 5, n))
            ),
            "hongheo": pa.array(rng.random(n) < np.where(people.ethnicity > 0, 0.35, 0.04)),
            "madienchinhsach": text.only(
                (people.ethnicity > 0) & (rng.random(n) < 0.7) | (rng.random(n) < 0.01),
                text.either(
                    people.ethnicity > 0, "04", text.pick(text.pool(["01", "02", "03"]), rng.integers(0, 3, n))
                ),
            ),
            "maloaikhuyettat": text.only(rng.random(n) < 0.008, text.fixed(rng.integers(1, 6, n), 2)),
            "chieucao": pa.array(height),
            "cannang": pa.array(weight),
            "mahocbantru": text.only(
                (grade < 6) & (rng.random(n) < 0.5) | (people.ethnicity > 0),
                text.either((people.ethnicity > 0) & (grade > 5), "2", "1"),
            ),
            "sodinhdanh": text.only(rng.random(n) < 0.97, people.known_id(np.full(n, entered))),
            "hovaten": people.name,
            "gioitinh": text.either(people.female, "2", "1"),
            **_birth(people.born),
            "dantoc": text.pick(ethnicity_codes(world), people.ethnicity),
            "quoctich": text.const("VNM", n),
            "noisinh_maxa": world.units.code(people.birth_place, born_after),
            "noisinh_mahuyen": world.units.district_code(people.birth_place, born_after),
            "noisinh_matinh": world.units.province_code(people.birth_place, born_after),
            **_home(world, people),
            "noiohientai_diachi": world.units.address(people.hamlet, people.place, after),
            "ngayvaotruong": text.dates(entered - 365 * np.maximum(grade - first_grade, 0)),
            "thoigiancapnhat": stamped(world.profile.as_of, moment, rng),
            "daxoa": falses(n),
        },
        people={"self": people.id},
        place=people.place,
        after=after,
    )
    return table if left is None else table.take(left)


SUBJECTS = ("{TOAN}", "{VAN}", "{ANH}", "{LY,TOAN}", "{HOA}", "{SINH}", "{SU,DIA}", "{TIN}", "{TD}", "{NT}")


def teachers(world: World, schools: Schools, enrolment: Enrolment, people: People) -> tuple[np.ndarray, np.ndarray]:
    """(positions in the population, school) of the teachers: adults of the new commune where there are enough."""
    rng = stream(world.seed, "education", "teachers")
    age = (world.profile.as_of - people.born) / YEAR
    able = np.flatnonzero((age > 23) & (age < 58) & (people.died == FAR))
    wanted = np.ceil(np.bincount(enrolment.class_school, minlength=len(schools.level)) * 1.4).astype(np.int64)
    seats = np.repeat(np.arange(len(wanted)), wanted)[: len(able) // 4]
    shuffled = rng.permutation(able)[: len(seats)]
    order = np.argsort(world.units.new[people.place[shuffled]], kind="stable")
    return shuffled[order], seats


def giaovien(world: World, schools: Schools, people: People, school: np.ndarray) -> Table:
    """Teachers, `people` in the order of `school`."""
    rng = stream(world.seed, "education", "giaovien")
    n = len(people)
    level = schools.level[school]
    subject = text.pick(text.pool(SUBJECTS), rng.integers(0, len(SUBJECTS), n))
    since = people.born + (
        22.5 * YEAR + rng.random(n) * np.maximum(world.profile.as_of - people.born - 23 * YEAR, 1)
    ).astype(np.int64)
    moment = world.profile.as_of * text.MINUTES - rng.integers(0, 500 * text.MINUTES, n)
    return Table(
        "education",
        "giaovien",
        "magiaovien",
        {
            "magiaovien": teacher_codes(people.id),
            "matruong": text.pick(schools.code, school),
            "masobhxh": people.insurance,
            "sodinhdanh": people.known_id(world.profile.as_of),
            "hovaten": people.name,
            "gioitinh": text.either(people.female, "2", "1"),
            **_birth(people.born),
            "dantoc": text.pick(ethnicity_codes(world), people.ethnicity),
            "cacmonday": text.either(
                level == 0, "{GVMN}", text.either((level == 1) & (rng.random(n) < 0.7), "{GVTH}", subject)
            ),
            "matrinhdo": text.number(rng.choice([2, 3, 4, 5], n, p=[0.15, 0.73, 0.115, 0.005])),
            "matrangthai": text.number(rng.choice([1, 2], n, p=[0.985, 0.015])),
            "ngayvaonganh": text.dates(np.minimum(since, world.profile.as_of)),
            **_home(world, people),
            "thoigiancapnhat": stamped(world.profile.as_of, moment, rng),
            "daxoa": falses(n),
        },
        people={"self": people.id},
        place=people.place,
        after=np.ones(n, dtype=bool),
        old_ids=people.old_id,
    )


def teacher_codes(ids: np.ndarray) -> Array:
    """magiaovien."""
    return text.concat("GV44", text.fixed(ids, 7))


def term_end(year: int, term: int) -> int:
    """Last day of a term, in days since 1970."""
    return to_days(date(year + 1, 1, 15) if term == 1 else date(year + 1, 5, 31))


def results(
    rng: np.random.Generator, numbers: Array, classes: Array, grade: np.ndarray, year: int, term: int, start: int
) -> Table:
    """Results of one term (no stamp): `numbers` and `classes` are mahocsinh and malop."""
    n = len(grade)
    mark = np.round(np.clip(rng.normal(7.2, 1.3, n), 1.5, 10), 2)
    rank = text.either(mark >= 8, "T", text.either(mark >= 6.5, "K", text.either(mark >= 5, "D", "CD")))
    return Table(
        "education",
        "ketquahoctap",
        "id",
        {
            "id": serial_ids(start, n),
            "mahocsinh": numbers,
            "malop": classes,
            "namhoc": text.const(school_year(year), n),
            "hocky": text.const(str(term), n),
            "diemtongket": pa.array(mark, mask=grade <= 2),
            "xeploai": rank,
            "colenlop": pa.array(mark >= 3.5, mask=np.full(n, term == 1)),
            "songaynghi": pa.array(rng.poisson(1.3, n)),
            "ngayketthuc": text.dates(np.full(n, term_end(year, term))),
        },
    )
