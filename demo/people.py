"""The hidden population: who lives, since when, with whom and where. Everything else is a trace of these lives."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demo import text
from demo.profile import Profile, stream
from demo.text import Array
from demo.units import Units

YEAR = 365.2425
FAR = 2**30  # a day that never comes
NOBODY = 0  # a person_id no one has
ADULT_PAPER_AGE = int(14 * YEAR)
CHILD_YEARS = 25  # people up to this age have their parents in the population


@dataclass(frozen=True)
class People:
    """Some people, column by column. Days count from 1970-01-01; FAR: never; persons by id, NOBODY: none."""

    id: np.ndarray
    name: Array
    female: np.ndarray
    born: np.ndarray
    birth_minute: np.ndarray
    personal_id: Array
    old_id: Array
    ethnicity: np.ndarray
    place: np.ndarray
    birth_place: np.ndarray
    hamlet: Array
    phone: Array
    insurance: Array
    insurance_group: Array
    mother: np.ndarray
    father: np.ndarray
    spouse: np.ndarray
    married: np.ndarray
    last_birth: np.ndarray
    births: np.ndarray
    died: np.ndarray
    registered: np.ndarray
    death_registered: np.ndarray
    birth_certificate: Array
    death_certificate: Array

    def __len__(self) -> int:
        return len(self.id)

    def take(self, index: np.ndarray) -> People:
        """The people at these positions."""
        columns: dict[str, Any] = {}
        where = pa.array(index)
        for field in fields(self):
            values = getattr(self, field.name)
            columns[field.name] = values[index] if isinstance(values, np.ndarray) else values.take(where)
        return People(**columns)

    def known_id(self, on: np.ndarray | int) -> Array:
        """Số định danh as the sources know it on a day: null until the birth is registered (children) or if it never was."""
        child = self.born > np.asarray(on) - ADULT_PAPER_AGE
        return text.only(~child | (self.registered <= on), self.personal_id)

    def known_dead(self, on: np.ndarray | int) -> np.ndarray:
        """Whether the registry or a hospital has recorded the death by a day: of others no sector could know."""
        paper = pc.is_valid(self.death_certificate).to_numpy(zero_copy_only=False) & (self.died <= on)
        return np.asarray(paper | (self.death_registered <= on))


@dataclass(frozen=True)
class Names:
    """Name lists with Zipf-like weights."""

    profile: Profile

    def draw(self, rng: np.random.Generator, listed: str, n: int) -> Array:
        """n names from one list of the profile."""
        values = self.profile.data["names"][listed]
        weights = 1 / (np.arange(len(values)) + (1.6 if listed == "family" else 6.0))
        return text.pick(text.pool(values), rng.choice(len(values), n, p=weights / weights.sum()))

    def given(self, rng: np.random.Generator, female: np.ndarray, highland: np.ndarray) -> Array:
        """Middle and given name."""
        n = len(female)
        middle = text.either(female, self.draw(rng, "middle_female", n), self.draw(rng, "middle_male", n))
        given = text.either(female, self.draw(rng, "female", n), self.draw(rng, "male", n))
        lowland = text.concat(middle, " ", given)
        men = text.concat(self.draw(rng, "middle_highland", n), " ", self.draw(rng, "male_highland", n))
        return text.either(highland, text.either(female, self.draw(rng, "female_highland", n), men), lowland)

    def family(self, rng: np.random.Generator, highland: np.ndarray) -> Array:
        """Family names."""
        n = len(highland)
        return text.either(highland, self.draw(rng, "family_highland", n), self.draw(rng, "family", n))


def personal_id(prefix: Array, female: np.ndarray, born: np.ndarray, serial: np.ndarray) -> Array:
    """Số định danh: place of birth registration, century and sex, year, six digits scattered from a serial below 10^6."""
    year = text.year(born)
    century = (year // 100 - 19) * 2 + female
    scattered = (serial * 387_421 + year * 7_919 + century * 104_729) % 1_000_000
    return text.concat(prefix, text.fixed(century * 100 + year % 100, 3), text.fixed(scattered, 6))


def serials(*keys: np.ndarray) -> np.ndarray:
    """Position of each row inside its group (rows of equal keys), counted in row order."""
    order = np.lexsort(keys[::-1])
    new_group = np.zeros(len(order), dtype=bool)
    new_group[:1] = True
    for key in keys:
        ordered = key[order]
        new_group[1:] |= ordered[1:] != ordered[:-1]
    starts = np.maximum.accumulate(np.where(new_group, np.arange(len(order)), 0))
    result = np.empty(len(order), dtype=np.int64)
    result[order] = np.arange(len(order)) - starts
    return result


def insurance_groups(
    rng: np.random.Generator, born: np.ndarray, highland: np.ndarray, insured: float, on: int
) -> Array:
    """First three characters of the BHYT card by age; null for the uninsured."""
    n = len(born)
    age = (on - born) / YEAR
    u = rng.random(n)
    adult = text.pick(text.pool(["GD4", "DN4", "CN3", "HN2", "XK4"]), rng.choice(5, n, p=[0.58, 0.2, 0.1, 0.06, 0.06]))
    group = text.either(age >= 62, text.either(u < 0.35, "HT3", text.either(u < 0.9, "GD4", "BT2")), adult)
    group = text.either(highland & (age >= 6), "DT2", group)
    group = text.either((age >= 6) & (age < 18) & ~highland, "HS4", group)
    group = text.either(age < 6, "TE1", group)
    return text.only(rng.random(n) < insured, group)


def birth_paper_number(facility_code: Array, born: np.ndarray, ids: np.ndarray) -> Array:
    """MA_GCS of the paper of a birth."""
    return text.concat("GCS.", facility_code, ".", text.fixed(text.year(born) % 100, 2), ".", text.fixed(ids, 7))


def death_paper_number(facility_code: Array, died: np.ndarray, ids: np.ndarray) -> Array:
    """MA_GBT of the paper of a death."""
    return text.concat("GBT.", facility_code, ".", text.fixed(text.year(died) % 100, 2), ".", text.fixed(ids, 7))


def registration_day(rng: np.random.Generator, born: np.ndarray, late: float) -> np.ndarray:
    """Day a birth is registered: mostly within 60 days, some up to two and a half years later."""
    n = len(born)
    prompt = 1 + np.minimum(rng.gamma(2.0, 9.0, n), 58).astype(np.int64)
    return born + np.where(rng.random(n) < late, rng.integers(61, 900, n), prompt)


def death_registration_day(rng: np.random.Generator, died: np.ndarray) -> np.ndarray:
    """Day a death is registered: mostly within two weeks."""
    n = len(died)
    return died + np.where(rng.random(n) < 0.04, rng.integers(30, 300, n), rng.integers(0, 15, n))


class _Builder:
    """Builds the population of one seed."""

    def __init__(self, citizens: int, seed: int, profile: Profile, units: Units) -> None:
        self.n, self.seed, self.profile, self.units = citizens, seed, profile, units
        self.names = Names(profile)

    def rng(self, purpose: str) -> np.random.Generator:
        return stream(self.seed, "people", purpose)

    def couples(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Birth day of wife and husband, marriage, first birth planned."""
        rng = self.rng("couples")
        bands = np.array([19, 30, 40, 50, 60, 70, 80, 92])
        weights = np.array([8.5, 11.5, 10.5, 9.5, 7.5, 3.6, 1.5])
        band = rng.choice(len(weights), count, p=weights / weights.sum())
        age = bands[band] + rng.random(count) * (bands[band + 1] - bands[band])
        wife = self.profile.as_of - (age * YEAR).astype(np.int64)
        first = wife + (np.clip(rng.normal(24.8, 3.5, count), 19.6, 38) * YEAR).astype(np.int64)
        married = np.maximum(first - (rng.uniform(0.8, 2.2, count) * YEAR).astype(np.int64), wife + int(18.05 * YEAR))
        groom_age = np.clip((married - wife) / YEAR + rng.normal(2.8, 2.8, count), 20.1, 60)
        return wife, married - (groom_age * YEAR).astype(np.int64), married, first

    def children(self, wife: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(couple, birth day) of every child born in the last CHILD_YEARS years."""
        rng = self.rng("children")
        as_of, count = self.profile.as_of, len(wife)
        wanted = rng.choice(5, count, p=[0.06, 0.22, 0.48, 0.18, 0.06])
        couple, born = [], []
        day = first.copy()
        for child in range(4):
            fits = (
                (wanted > child)
                & (day <= as_of)
                & (day > as_of - int(CHILD_YEARS * YEAR))
                & (day - wife < int(44 * YEAR))
            )
            couple.append(np.flatnonzero(fits))
            born.append(day[fits])
            day = day + (1.2 * YEAR + rng.gamma(2.0, 1.1 * YEAR, count)).astype(np.int64)
        return np.concatenate(couple), np.concatenate(born)

    def places(self, n: int) -> np.ndarray:
        rng = self.rng("places")
        weights = rng.lognormal(0.0, 0.5, self.units.n) * np.where(self.units.urban, 1.6, 1.0)
        return rng.choice(self.units.n, n, p=weights / weights.sum())

    def ethnicities(self, place: np.ndarray) -> np.ndarray:
        rng = self.rng("ethnicities")
        result = np.zeros(len(place), dtype=np.int64)
        groups = self.profile.data["ethnicities"]
        short = self.units.district_name.to_pylist()
        share = float(self.profile.data["highland_share"])
        for district in sorted({name for group in groups for name in group["districts"]}):
            here = np.array([name.endswith(district) for name in short])[place]
            local = [index for index, group in enumerate(groups) if district in group["districts"]]
            weights = np.array([groups[index]["share"] for index in local])
            drawn = np.array(local)[rng.choice(len(local), len(place), p=weights / weights.sum())]
            result = np.where(here & (rng.random(len(place)) < share), drawn, result)
        return result

    def deaths(self, born: np.ndarray, not_before: np.ndarray) -> np.ndarray:
        rng = self.rng("deaths")
        as_of = self.profile.as_of
        start = int(text.new_year(text.year(np.array([as_of]))[0] - int(self.profile.number("window_years"))))
        age = (as_of - born) / YEAR
        hazard = np.exp(0.085 * np.clip(age, 0, 105)) + 2.0 * (age < 1) + 1.0
        target = self.profile.number("death_rate") * (as_of - start) / YEAR * len(born)
        chance = np.minimum(hazard * target / hazard.sum(), 0.9)
        day = start + (rng.random(len(born)) * (as_of - start + 1)).astype(np.int64)
        dies = (rng.random(len(born)) < chance) & (day > not_before)
        return np.where(dies, day, FAR)

    def build(self, facilities: Facilities) -> People:
        n, as_of, profile = self.n, self.profile.as_of, self.profile
        couples = int(n * 0.285)
        wife, husband, married, first = self.couples(couples)
        couple, child_born = self.children(wife, first)
        room = n - 2 * couples - int(n * 0.05)
        if len(couple) > room:
            keep = np.sort(self.rng("room").permutation(len(couple))[:room])
            couple, child_born = couple[keep], child_born[keep]
        kids, singles = len(couple), n - 2 * couples - len(couple)

        rng = self.rng("basics")
        single_born = as_of - ((CHILD_YEARS + rng.gamma(1.3, 12.0, singles).clip(0, 70)) * YEAR).astype(np.int64)
        born = np.concatenate([husband, wife, single_born, child_born])
        female = np.concatenate(
            [np.zeros(couples, bool), np.ones(couples, bool), rng.random(singles) < 0.5, rng.random(kids) < 0.473]
        )
        ids = np.arange(1, n + 1)
        home = self.places(couples + singles)
        tribe = self.ethnicities(home)
        first_kid = 2 * couples + singles
        couple_of = np.concatenate([np.arange(couples), np.arange(couples), couples + np.arange(singles), couple])
        place, ethnicity = home[couple_of], tribe[couple_of]
        highland = ethnicity > 0

        is_wed = married <= as_of
        mother = np.full(n, NOBODY)
        father = np.full(n, NOBODY)
        mother[first_kid:] = couples + couple + 1
        father[first_kid:] = couple + 1
        spouse = np.full(n, NOBODY)
        wedding = np.full(n, FAR)
        spouse[:couples] = np.where(is_wed, couples + np.arange(couples) + 1, NOBODY)
        spouse[couples : 2 * couples] = np.where(is_wed, np.arange(couples) + 1, NOBODY)
        wedding[:couples] = wedding[couples : 2 * couples] = np.where(is_wed, married, FAR)
        births = np.zeros(n, dtype=np.int64)
        births[couples : 2 * couples] = np.bincount(couple, minlength=couples)
        last_birth = np.full(n, -FAR)
        np.maximum.at(last_birth, couples + couple, child_born)
        youngest = np.full(couples, -FAR)
        np.maximum.at(youngest, couple, child_born)

        not_before = born + 1
        for side in (slice(0, couples), slice(couples, 2 * couples)):
            not_before[side] = np.maximum(not_before[side], np.maximum(youngest, np.where(is_wed, married, -FAR)))
        died = self.deaths(born, not_before)

        rng = self.rng("names")
        family = self.names.family(rng, highland[:first_kid])
        family = pa.concat_arrays([family, text.pick(family, couple)])
        name = text.concat(family, " ", self.names.given(rng, female, highland))

        rng = self.rng("numbers")
        birth_place = place.copy()
        moved = (rng.random(n) < 0.15) & (np.arange(n) < first_kid)
        birth_place[moved] = rng.integers(0, self.units.n, int(moved.sum()))
        child = np.arange(n) >= first_kid
        elsewhere = ~child & (rng.random(n) < profile.number("registered_elsewhere"))
        outside = text.pick(text.pool(profile.data["elsewhere"]), rng.integers(0, len(profile.data["elsewhere"]), n))
        prefix = text.either(elsewhere, outside, text.concat("0", text.pick(self.units.province, birth_place)))
        prefix_number = pc.cast(prefix, pa.int32()).to_numpy()
        serial = serials(prefix_number, female, text.year(born))
        old_prefix = text.either(prefix_number == 45, "197", "194")
        old_paper = born < text.new_year(2003)
        old_id = text.concat(old_prefix, text.fixed((serials(prefix_number == 45) * 386_117 + 12_345) % 1_000_000, 6))
        phone = text.concat(
            text.pick(text.pool(["090", "091", "097", "098", "035", "038", "070", "083"]), rng.integers(0, 8, n)),
            text.fixed(rng.integers(0, 10_000_000, n), 7),
        )
        has_phone = (as_of - born > 15 * YEAR) & (rng.random(n) < 0.85)

        rng = self.rng("registration")
        registered = registration_day(rng, born, profile.number("late_registration"))
        rewritten = ~child & (born < text.new_year(1990)) & (rng.random(n) < 0.25)
        registered = np.where(rewritten, np.minimum(as_of, text.new_year(2012) + rng.integers(0, 4000, n)), registered)
        covered = rng.random(n) < np.where(
            child, profile.number("birth_registered"), profile.number("digitised_births")
        )
        registered = np.where(covered & (registered < died) & ~elsewhere, registered, FAR)
        death_day = death_registration_day(rng, np.minimum(died, as_of))
        death_registered = np.where((died < FAR) & (rng.random(n) < profile.number("death_registered")), death_day, FAR)
        in_hospital = (rng.random(n) < profile.number("facility_births")) & (born >= text.new_year(2020)) & child
        hospital_death = (rng.random(n) < profile.number("facility_deaths")) & (died < FAR)
        hospital = text.pick(facilities.code, facilities.hospital_of(place))

        rng = self.rng("insurance")
        return People(
            id=ids,
            name=name,
            female=female,
            born=born,
            birth_minute=self.rng("minutes").integers(0, text.MINUTES, n),
            personal_id=personal_id(prefix, female, born, serial),
            old_id=text.only(old_paper, old_id),
            ethnicity=ethnicity,
            place=place,
            birth_place=birth_place,
            hamlet=text.pick(text.pool(profile.data["hamlets"]), self.hamlets(couples + singles)[couple_of]),
            phone=text.only(has_phone, phone),
            insurance=insurance_numbers(ids, place, self.units),
            insurance_group=insurance_groups(rng, born, highland, profile.number("insured"), as_of),
            mother=mother,
            father=father,
            spouse=spouse,
            married=wedding,
            last_birth=last_birth,
            births=births,
            died=died,
            registered=registered,
            death_registered=death_registered,
            birth_certificate=text.only(in_hospital, birth_paper_number(hospital, born, ids)),
            death_certificate=text.only(hospital_death, death_paper_number(hospital, np.minimum(died, as_of), ids)),
        )

    def hamlets(self, households: int) -> np.ndarray:
        return self.rng("hamlets").integers(0, len(self.profile.data["hamlets"]), households)


def insurance_numbers(ids: np.ndarray, place: np.ndarray, units: Units) -> Array:
    """Mã số BHXH: 10 digits, a different one for every person."""
    return text.concat(text.pick(units.province, place), text.fixed((ids * 73_856_093 + 19_349_663) % 100_000_000, 8))


@dataclass(frozen=True)
class Facilities:
    """Health facilities: one station for each old commune (same numbers), then the district hospitals, then four others."""

    code: Array
    name: Array
    place: np.ndarray
    level: np.ndarray
    district_hospital: np.ndarray

    @property
    def n(self) -> int:
        """How many."""
        return len(self.level)

    def hospital_of(self, place: np.ndarray) -> np.ndarray:
        """The district hospital of a place."""
        return self.district_hospital[place]


def facilities(units: Units) -> Facilities:
    """The facilities that the units imply; no randomness."""
    districts = sorted(set(units.district.to_pylist()))
    district = np.searchsorted(districts, units.district.to_pylist())
    seat = np.array([int(np.flatnonzero(district == index)[0]) for index in range(len(districts))])
    names = dict(zip(units.district.to_pylist(), units.district_name.to_pylist(), strict=True))
    provinces = np.array(units.province.to_pylist())
    stations = text.concat("Trạm y tế ", units.old_name)
    hospitals = [
        f"Bệnh viện đa khoa khu vực {names[code].split(' ', 1)[1].removeprefix('xã ').removeprefix('phố ')}"
        for code in districts
    ]
    town = int(np.flatnonzero(provinces == "44")[0])
    other_town = int(np.flatnonzero(provinces == "45")[0])
    others = [
        "Bệnh viện Hữu nghị Việt Nam - Cuba",
        "Bệnh viện đa khoa tỉnh Quảng Trị",
        "Bệnh viện Y học cổ truyền",
        "Bệnh viện tư nhân Thuận Đức",
    ]
    place = np.concatenate([np.arange(units.n), seat, [town, other_town, town, other_town]])
    level = np.concatenate([np.full(units.n, 4), np.full(len(districts), 3), np.full(4, 2)])
    number = serials(provinces[place])
    return Facilities(
        code=text.concat(text.pick(units.province, place), text.fixed(number + 1, 3)),
        name=pa.concat_arrays([stations, text.pool(hospitals), text.pool(others)]),
        place=place,
        level=level,
        district_hospital=units.n + district,
    )


def build(citizens: int, seed: int, profile: Profile, units: Units) -> People:
    """The population of a seed: ids 1..citizens; deterministic in its arguments."""
    return _Builder(citizens, seed, profile, units).build(facilities(units))


__all__ = ["CHILD_YEARS", "FAR", "NOBODY", "Facilities", "Names", "People", "build", "facilities", "replace", "serials"]
