"""`seed`: fills the sector databases and the truth, all or nothing, the same for the same arguments."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc

from demo import defects, people, store, text, units
from demo import profile as profiles
from demo.errors import DemoError, SeedMismatchError
from demo.people import FAR, NOBODY, People, serials
from demo.profile import stream
from demo.records import civil_registry, education, health, investment, one_stop
from demo.table import STAMP, Table, World, falses, stamped
from pdic.warehouse import locks

GENERATOR = "2026-11-25.3"  # change it whenever the same arguments give other rows
CHUNK = 200_000  # visits, and birth registrations, made at a time
EARLIEST_MARRIAGE = 1990
LEAST_CITIZENS = 500

Progress = Callable[[str, int, int], None]


def seed(
    uris: dict[str, str],
    citizens: int,
    seed: int,
    profile: Path = profiles.DEFAULT,
    progress: Progress | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Fills the databases (`uris`: database → libpq URI of its owner) with `citizens` people.

    Returns rows by table, defects by kind (`eligible`, `planted`), seconds, and `already`: the same seed was there, nothing
    was done. `force` makes the seed anew whatever is there. Raises SeedMismatchError where another seed is there, DemoError
    where a database is not the demo's to fill. A seed that was interrupted is made again.
    """
    if citizens < LEAST_CITIZENS:
        raise DemoError(
            f"a population of {citizens} is too small for families and schools: take {LEAST_CITIZENS} or more"
        )
    check_number(seed)
    if missing := [name for name in store.DATABASES if name not in uris]:
        raise DemoError(
            f"no connection for {', '.join(missing)}: seed() wants one for each of {', '.join(store.DATABASES)}"
        )
    chosen, known = profiles.load(profile), units.load()
    world = World(seed, chosen, known, people.facilities(known))
    digest = hashlib.sha256("/".join((GENERATOR, chosen.digest, known.digest)).encode()).hexdigest()
    with store.connect(uris["truth"]) as lock:
        lock.autocommit = True
        lock.execute("select pg_advisory_lock(%s, %s)", locks.DEMO.key)  # one seed or tick at a time
        found = present(uris["truth"])
        if found is not None and not force:
            if (found["citizens"], found["seed"], found["profile_digest"]) == (citizens, seed, digest):
                return {**found["result"], "already": True}
            other = "" if found["profile_digest"] == digest else ", and its profile or generator is another"
            raise SeedMismatchError(
                f"the databases hold seed {found['seed']} of {found['citizens']} citizens{other}; "
                f"wanted is seed {seed} of {citizens}: `pdic demo seed --force --citizens {citizens} --seed {seed}` drops what is "
                "there and seeds anew"
            )
        return _Seeding(uris, world, citizens, digest, progress or (lambda *_: None)).run()


def check_number(seed: int) -> None:
    """Raises DemoError where the number of a seed cannot be kept."""
    if not -(2**63) <= seed < 2**63:
        raise DemoError(f"seed {seed}: take a whole number of at most 18 digits")


def present(truth_uri: str) -> dict[str, Any] | None:
    """The finished seed of record, or None."""
    with store.connect(truth_uri) as truth:
        if truth.execute("select to_regclass('public.seed_run')").fetchone() == (None,):
            return None
        cursor = truth.cursor(row_factory=psycopg.rows.dict_row)
        return cursor.execute("select * from seed_run").fetchone()


class _Seeding:
    """One run of seed()."""

    def __init__(self, uris: dict[str, str], world: World, citizens: int, digest: str, progress: Progress) -> None:
        self.uris, self.world, self.citizens, self.digest, self.progress = uris, world, citizens, digest, progress
        self.counters: dict[str, int] = {}
        self.counts: dict[str, list[int]] = {}
        self.loaders: dict[str, store.Loader] = {}
        self.seconds: dict[str, float] = {}
        self.told_dead: list[np.ndarray] = []
        """Persons of whose death a sound record tells: whether a visit came after it can be known of no others."""
        self.step = 0

    def run(self) -> dict[str, Any]:
        began = time.perf_counter()
        _forget(self.uris["truth"])
        try:
            for database in store.DATABASES:
                self.loaders[database] = store.Loader(self.uris[database], database)
            self._timed("population", self._population)
            self._timed("investment", self._investment)
            self._timed("education", self._education)
            self._timed("civil_registry", self._civil_registry)
            self._timed("health", self._health)
            self._timed("one_stop", self._one_stop)
            self._timed("truth", self._truth)
            for database in store.DATABASES:
                self._timed(f"finish {database}", self.loaders[database].finish)
        except BaseException:
            for loader in self.loaders.values():
                loader.cancel()
            raise
        result = {
            "citizens": self.citizens,
            "seed": self.world.seed,
            "as_of": profiles.to_date(self.world.profile.as_of).isoformat(),
            "rows": {name: dict(sorted(loader.rows.items())) for name, loader in sorted(self.loaders.items())},
            "defects": {name: {"eligible": pair[0], "planted": pair[1]} for name, pair in sorted(self.counts.items())},
            "seconds": {name: round(value, 2) for name, value in self.seconds.items()}
            | {"all": round(time.perf_counter() - began, 2)},
            "already": False,
        }
        self._mark(result)
        self.progress("done", 1, 1)
        return result

    def _timed(self, name: str, work: Callable[[], None]) -> None:
        self.progress(name, self.step, 7 + len(store.DATABASES))
        began = time.perf_counter()
        work()
        self.seconds[name] = time.perf_counter() - began
        self.step += 1

    def rng(self, *names: object) -> np.random.Generator:
        return stream(self.world.seed, *names)

    def ids(self, label: str) -> Callable[[int], int]:
        """Record numbers of one table: how many are wanted → the first."""

        def take(n: int) -> int:
            first = self.counters.get(label, 1)
            self.counters[label] = first + n
            return first

        return take

    def put(self, table: Table, part: int = 0) -> None:
        """Plants the defects of a finished table and hands it to the loaders."""
        rng = self.rng("defects", table.label, part)
        counts = defects.plant_all(
            table, self.world.profile.data["defects"], rng, self.world.units, self.ids(table.label)
        )
        for kind, (eligible, planted) in counts.items():
            total = self.counts.setdefault(kind, [0, 0])
            total[0] += eligible
            total[1] += planted
        if table.label in ("civil_registry.khai_tu", "health.giay_bao_tu"):
            sound = np.ones(table.n, dtype=bool)
            sound[[row for rows in table.marks.values() for row in rows]] = False
            self.told_dead.append(table.people["self"][sound])
        self.loaders[table.sector].add(table.name, table.columns)
        self._tell(table)

    def _tell(self, table: Table) -> None:
        """Writes the truth about a table."""
        keys = table.keys()
        truth = self.loaders["truth"]
        for role, persons in table.people.items():
            known = np.flatnonzero(persons != NOBODY)
            if len(known):
                truth.add("mention", mention_columns(table, role, text.pick(keys, known), persons[known]))
        for kind, rows in table.marks.items():
            if len(rows):
                truth.add("defect", defect_columns(table, kind, rows, self.world.profile.as_of))

    def book_numbers(self) -> civil_registry.Numbers:
        """Numbers entries within (office, year) in row order and keeps the next free number of the current year for the ticks."""

        def number(table: str, office: Any, year: np.ndarray) -> np.ndarray:
            code = pc.cast(office, pa.int64()).to_numpy()
            books, inverse = np.unique(code * 10_000 + year, return_inverse=True)
            names = [f"book:{table}:{book // 10_000:05d}:{book % 10_000}" for book in books.tolist()]
            start = np.array([self.counters.get(name, 0) for name in names], dtype=np.int64)
            end = start + np.bincount(inverse, minlength=len(names))
            self.counters.update(zip(names, end.tolist(), strict=True))
            return start[inverse] + serials(inverse)

        return number

    def _population(self) -> None:
        self.people = people.build(self.citizens, self.world.seed, self.world.profile, self.world.units)

    def _investment(self) -> None:
        for table in investment.tables(self.world, self.citizens):
            if table.key == "id":
                self.ids(table.label)(table.n)
            self.put(table)

    def _education(self) -> None:
        world, everyone = self.world, self.people
        year = education.current_year(world)
        schools = education.build_schools(world, everyone)
        now, before = (education.enrol(world, everyone, schools, at) for at in (year, year - 1))
        position, school = education.teachers(world, schools, now, everyone)
        teachers = everyone.take(position)
        first = np.full(len(schools.level), -1)
        first[school[::-1]] = np.arange(len(school))[::-1]
        codes = education.teacher_codes(teachers.id)
        self.put(education.truong(world, schools))
        self.put(education.diemtruong(world, schools))
        for enrolment in (before, now):
            self.put(education.lop(world, schools, enrolment, codes, first))
        self.put(education.giaovien(world, schools, teachers, school))
        number = self.ids("education.hocsinh")
        left = np.flatnonzero(before.grade == 12)
        graduates = education.hocsinh(world, schools, before, everyone.take(before.person), 0, left)
        graduates.columns["id"] = pa.array(np.arange(len(left)) + number(len(left)))
        self.put(graduates)
        pupils = everyone.take(now.person)
        self.put(education.hocsinh(world, schools, now, pupils, number(len(pupils))), 1)
        self._results(schools, before)

    def _results(self, schools: education.Schools, before: education.Enrolment) -> None:
        graded = np.flatnonzero(before.grade >= 1)
        numbers = education.pupil_numbers(self.people.id[before.person[graded]])
        classes = text.pick(education.class_codes(schools, before), before.klass[graded])
        for term in (1, 2):
            rng = self.rng("education", "ketquahoctap", term)
            start = self.ids("education.ketquahoctap")(len(graded))
            table = education.results(rng, numbers, classes, before.grade[graded], before.year, term, start)
            sent = education.term_end(before.year, term) * text.MINUTES + rng.integers(
                0, 10 * text.MINUTES, len(graded)
            )
            table.columns["thoigiancapnhat"] = stamped(self.world.profile.as_of, sent, rng)
            table.columns["daxoa"] = falses(len(graded))
            self.put(table, term)

    def _civil(self, table: Table, day: np.ndarray, rng: np.random.Generator, part: int = 0) -> None:
        """Stamps registrations soon after their day; those before 2020 when they were digitised."""
        base = np.maximum(day, profiles.to_days(date(2020, 3, 1)) + rng.integers(0, 900, len(day)) * (day < 18_300))
        sent = base * text.MINUTES + rng.integers(450, 2500, len(day))
        table.columns["thoiGianCapNhat"] = stamped(self.world.profile.as_of, sent, rng)
        table.columns["daXoa"] = falses(len(day))
        self.put(table, part)

    def _civil_registry(self) -> None:
        world, everyone, as_of = self.world, self.people, self.world.profile.as_of
        numbers = self.book_numbers()
        offices = civil_registry.noi_dang_ky(world)
        self.loaders["civil_registry"].add(offices.name, offices.columns)

        registered = np.flatnonzero(everyone.registered <= as_of)
        registered = registered[np.argsort(everyone.registered[registered], kind="stable")]
        entry = np.zeros(len(everyone), dtype=np.int64)
        corrected = self._corrections(registered)
        for part, at in enumerate(range(0, len(registered), CHUNK)):
            children = everyone.take(registered[at : at + CHUNK])
            mothers, fathers = (everyone.take(np.maximum(ids - 1, 0)) for ids in (children.mother, children.father))
            start = self.ids("civil_registry.khai_sinh")(len(children))
            entry[children.id - 1] = np.arange(start, start + len(children))
            rng = self.rng("civil_registry", "khai_sinh", part)
            self._civil(
                civil_registry.khai_sinh(world, rng, children, mothers, fathers, start, numbers),
                children.registered,
                rng,
                part,
            )

        for day, positions, old in corrected:
            rng = self.rng("civil_registry", "cai_chinh")
            persons = everyone.take(positions)
            origin = pa.array(entry[positions], mask=entry[positions] == 0)
            start = self.ids("civil_registry.cai_chinh")(len(positions))
            table = civil_registry.cai_chinh(world, rng, persons, old, persons.name, day, origin, start, numbers)
            self._civil(table, day, rng)

        rng = self.rng("civil_registry", "ket_hon")
        wed = everyone.female & (everyone.spouse != NOBODY)
        wed &= (everyone.married >= text.new_year(EARLIEST_MARRIAGE)) & (everyone.married <= as_of)
        wed = np.flatnonzero(wed & (rng.random(len(everyone)) < world.profile.number("digitised_marriages")))
        wed = wed[np.argsort(everyone.married[wed], kind="stable")]
        wives = everyone.take(wed)
        husbands = everyone.take(wives.spouse - 1)
        start = self.ids("civil_registry.ket_hon")(len(wed))
        self._civil(civil_registry.ket_hon(world, rng, husbands, wives, start, numbers), wives.married, rng)

        rng = self.rng("civil_registry", "khai_tu")
        dead = np.flatnonzero(everyone.death_registered <= as_of)
        dead = everyone.take(dead[np.argsort(everyone.death_registered[dead], kind="stable")])
        start = self.ids("civil_registry.khai_tu")(len(dead))
        self._civil(civil_registry.khai_tu(world, rng, dead, start, numbers), dead.death_registered, rng)

        rng = self.rng("civil_registry", "nhan_cha_me_con")
        since = text.new_year(2021)
        fits = (everyone.father != NOBODY) & (everyone.registered <= as_of) & (everyone.registered >= since)
        chosen = np.flatnonzero(fits & (rng.random(len(everyone)) < 0.008))
        children = everyone.take(chosen)
        fathers = everyone.take(children.father - 1)
        last = np.minimum(np.minimum(children.died, fathers.died), as_of)
        day = children.registered + rng.integers(5, 400, len(chosen))
        keep = np.flatnonzero(day <= last)
        keep = keep[np.argsort(day[keep], kind="stable")]
        start = self.ids("civil_registry.nhan_cha_me_con")(len(keep))
        table = civil_registry.nhan_cha_me_con(
            world, rng, children.take(keep), fathers.take(keep), day[keep], start, numbers
        )
        self._civil(table, day[keep], rng)

    def _corrections(self, registered: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, Any]]:
        """(day, positions, name before) of the name corrections: the population has the new names already."""
        rng, as_of, everyone = self.rng("corrections"), self.world.profile.as_of, self.people
        chosen = registered[rng.random(len(registered)) < 0.004]
        low = np.maximum(everyone.registered[chosen] + 20, text.new_year(2021))
        day = low + (rng.random(len(chosen)) * np.maximum(as_of - low, 0)).astype(np.int64)
        chosen, day = (
            chosen[(low < as_of) & (day < everyone.died[chosen])],
            day[(low < as_of) & (day < everyone.died[chosen])],
        )
        order = np.argsort(day, kind="stable")
        chosen, day = chosen[order], day[order]
        return [(day, chosen, civil_registry.other_name(self.world, rng, everyone.take(chosen)))]

    def _health(self) -> None:
        world, everyone, as_of = self.world, self.people, self.world.profile.as_of
        sites = health.co_so_kcb(world)
        self.loaders["health"].add(sites.name, sites.columns)
        since = int(text.new_year(2020))

        rng = self.rng("health", "giay_chung_sinh")
        born = np.flatnonzero(
            pc.is_valid(everyone.birth_certificate).to_numpy(zero_copy_only=False) & (everyone.born >= since)
        )
        children = everyone.take(born[np.argsort(everyone.born[born], kind="stable")])
        mothers, fathers = everyone.take(children.mother - 1), everyone.take(children.father - 1)
        table = health.giay_chung_sinh(
            world, rng, children, mothers, fathers.name, self.ids("health.giay_chung_sinh")(len(children))
        )
        self._paper(table, children.born, rng)

        rng = self.rng("health", "giay_bao_tu")
        gone = np.flatnonzero(
            pc.is_valid(everyone.death_certificate).to_numpy(zero_copy_only=False) & (everyone.died <= as_of)
        )
        dead = everyone.take(gone[np.argsort(everyone.died[gone], kind="stable")])
        self._paper(health.giay_bao_tu(world, rng, dead, self.ids("health.giay_bao_tu")(len(dead))), dead.died, rng)

        for part, (visitors, arrival, late) in enumerate(self._visits()):
            rng = self.rng("health", "visits", part)
            n = len(arrival)
            first = self.ids("visit")(n)
            lines = tuple(self.counters.get(f"health.{name}", 1) for name in ("xml2", "xml3"))
            tables = health.visits(
                world, rng, everyone.take(visitors), arrival, first, (self.ids("health.xml1")(n), *lines)
            )
            for table in tables[1:]:
                self.ids(table.label)(table.n)
            health.stamp_visits(world, rng, tables)
            if world.profile.rate("visit_after_death"):
                tables[0].marks["visit_after_death"] = late
            for table in tables:
                self.put(table, part)

    def _paper(self, table: Table, day: np.ndarray, rng: np.random.Generator) -> None:
        sent = day * text.MINUTES + rng.integers(600, 3 * text.MINUTES, len(day))
        table.columns[STAMP["health"]] = stamped(self.world.profile.as_of, sent, rng)
        table.columns["DA_XOA"] = falses(len(day))
        self.put(table)

    def _visits(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """(patients, arrivals, rows after the patient's death), chunk by chunk in order of arrival."""
        world, everyone, as_of = self.world, self.people, self.world.profile.as_of
        rng = self.rng("health", "who")
        n = int(world.profile.number("visits_per_year") * len(everyone))
        age = (as_of - everyone.born) / people.YEAR
        need = np.where(age < 6, 2.2, np.where(age < 18, 0.7, np.where(age < 45, 0.8, np.where(age < 62, 1.2, 2.2))))
        patient = np.searchsorted(np.cumsum(need) / need.sum(), rng.random(n)).clip(0, len(everyone) - 1)
        earlier = rng.random(n) < world.profile.number("earlier_visits")
        year_ago = as_of - 365
        oldest = int(text.new_year(text.year(np.array([as_of]))[0] - 1))
        first = np.where(earlier, oldest, year_ago)
        last = np.where(earlier, year_ago - 1, as_of - 12)
        arrival, possible = health.arrivals(rng, everyone.take(patient), first, last)
        patient, arrival = patient[possible], arrival[possible]

        told = np.isin(everyone.id, np.concatenate(self.told_dead))
        dead = np.flatnonzero((everyone.died > oldest) & (everyone.died < as_of - 30) & told)
        extra = int(world.profile.rate("visit_after_death") * len(patient) + 0.5) if len(dead) else 0
        ghosts = rng.choice(dead, extra) if extra else dead[:0]
        gap = as_of - 13 - everyone.died[ghosts]
        day = everyone.died[ghosts] + 1 + (rng.random(extra) * np.minimum(gap, 200)).astype(np.int64)
        patient = np.concatenate([patient, ghosts])
        after_death = np.zeros(len(patient), dtype=bool)
        after_death[len(patient) - extra :] = True
        arrival = np.concatenate([arrival, day * text.MINUTES + rng.integers(390, 1050, extra)])
        order = np.argsort(arrival, kind="stable")
        patient, arrival, after_death = patient[order], arrival[order], after_death[order]
        for at in range(0, len(patient), CHUNK):
            part = slice(at, at + CHUNK)
            yield patient[part], arrival[part], np.flatnonzero(after_death[part])

    def _one_stop(self) -> None:
        """The dossiers of the last twelve months, in the order in which they were received."""
        world, everyone, as_of = self.world, self.people, self.world.profile.as_of
        rng = self.rng("one_stop", "who")
        n = int(one_stop.DOSSIERS_PER_YEAR * self.citizens)
        day = np.sort(rng.integers(as_of - 364, as_of + 1, n))
        persons = everyone.take(one_stop.applicants(rng, everyone, n, as_of))
        first = self.ids("one_stop.hoso")(n)
        numbers = np.arange(first, first + n)
        life = one_stop.lives(world.seed, numbers, day)
        now = (as_of + 1) * text.MINUTES - 1
        dossiers = one_stop.hoso(world, numbers, persons, life, now)
        codes, agencies = dossiers.columns["MaHoSo"], dossiers.columns["DonViXuLy"]  # the steps keep the good codes
        self.put(dossiers)
        self.put(one_stop.qua_trinh(world, codes, agencies, life, 0, now, self.ids("one_stop.qua_trinh")))

    def _truth(self) -> None:
        truth, everyone = self.loaders["truth"], self.people
        truth.add("person", person_columns(self.world, everyone))
        year = text.year(np.array([self.world.profile.as_of]))[0]
        self.counters["person"] = len(everyone) + 1
        kept = {
            name: value
            for name, value in self.counters.items()
            if not name.startswith("book:") or int(name[-4:]) >= year
        }
        # số định danh of later births: their serials go on after those of the seed
        prefix = pc.cast(pc.utf8_slice_codeunits(everyone.personal_id, 0, 3), pa.int64()).to_numpy()
        young = np.flatnonzero(text.year(everyone.born) == year)
        group, size = np.unique(prefix[young] * 2 + everyone.female[young], return_counts=True)
        for value, total in zip(group.tolist(), size.tolist(), strict=True):
            kept[f"id:{value // 2:03d}:{value % 2}:{year}"] = total
        truth.add("counter", {"name": pa.array(list(kept)), "next_value": pa.array(list(kept.values()))})
        today = text.dates(np.array([self.world.profile.as_of]))
        truth.add("clock", {"one": pa.array([True]), "day": pa.array([0]), "business_date": today})

    def _mark(self, result: dict[str, Any]) -> None:
        with store.connect(self.uris["truth"]) as truth:
            truth.execute(
                "insert into seed_run (citizens, seed, profile_digest, as_of, result, profile) values (%s, %s, %s, %s, %s, %s)",
                (
                    self.citizens,
                    self.world.seed,
                    self.digest,
                    profiles.to_date(self.world.profile.as_of),
                    json.dumps(result),
                    json.dumps(self.world.profile.data, default=str),
                ),
            )


def _forget(truth_uri: str) -> None:
    """Takes the mark of a former seed away before anything of it changes."""
    with store.connect(truth_uri) as truth:
        if truth.execute("select to_regclass('public.seed_run')").fetchone() != (None,):
            truth.execute("delete from seed_run")


def mention_columns(table: Table, role: str, keys: Any, persons: np.ndarray) -> dict[str, Any]:
    """Rows of truth.mention."""
    n = len(persons)
    return {
        "sector": text.const(table.sector, n),
        "dataset": text.const(table.name, n),
        "key": keys,
        "role": text.const(role, n),
        "person_id": pa.array(persons),
    }


def defect_columns(table: Table, kind: str, rows: np.ndarray, day: int) -> dict[str, Any]:
    """Rows of truth.defect."""
    n = len(rows)
    cells = [table.cells.get(kind, {}).get(int(row), (None, None)) for row in rows]
    return {
        "sector": text.const(table.sector, n),
        "dataset": text.const(table.name, n),
        "key": text.pick(table.keys(), rows),
        "kind": text.const(kind, n),
        "column_name": text.pool([column for column, _ in cells]),
        "original": text.pool([value for _, value in cells]),
        "planted_on": text.dates(np.full(n, day)),
    }


def person_columns(world: World, persons: People) -> dict[str, Any]:
    """Rows of truth.person."""

    def someone(ids: np.ndarray) -> Any:
        return pa.array(ids, mask=ids == NOBODY)

    def day(days: np.ndarray) -> Any:
        known = (days < FAR) & (days > -FAR)
        return text.dates(np.where(known, days, 0), known)

    return {
        "person_id": pa.array(persons.id),
        "full_name": persons.name,
        "is_female": pa.array(persons.female),
        "born_on": text.dates(persons.born),
        "birth_minute": pa.array(persons.birth_minute),
        "personal_id": persons.personal_id,
        "old_id": persons.old_id,
        "ethnicity": text.pick(education.ethnicity_codes(world), persons.ethnicity),
        "old_commune": text.pick(world.units.old_code, persons.place),
        "birth_commune": text.pick(world.units.old_code, persons.birth_place),
        "hamlet": persons.hamlet,
        "phone": persons.phone,
        "insurance_number": persons.insurance,
        "insurance_group": pc.fill_null(persons.insurance_group, ""),
        "mother_id": someone(persons.mother),
        "father_id": someone(persons.father),
        "spouse_id": someone(persons.spouse),
        "married_on": day(persons.married),
        "last_birth_on": day(persons.last_birth),
        "births": pa.array(persons.births),
        "died_on": day(persons.died),
        "birth_registered_on": day(persons.registered),
        "death_registered_on": day(persons.death_registered),
        "birth_certificate": persons.birth_certificate,
        "death_certificate": persons.death_certificate,
    }
