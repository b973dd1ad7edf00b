"""What happens on one business day: a plan of steps for every database, computed before anything is written.

The plan is a function of the seed, the day number and the state the day before, so it is the same however often it is made.
It reads only what the day touches: people and records by their numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql
from psycopg.rows import dict_row

from demo import defects, people, store, text
from demo.people import FAR, NOBODY, YEAR, People
from demo.profile import EPOCH, stream, to_date
from demo.records import civil_registry, education, health, investment, one_stop
from demo.repair import repairs
from demo.seed import defect_columns, mention_columns, person_columns
from demo.table import SOFT_DELETE, STAMP, Table, World

Connection = psycopg.Connection[Any]


@dataclass
class Plan:
    """Steps by database; each step is JSON and says what it counts as."""

    steps: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {name: [] for name in store.DATABASES})

    def copy(self, database: str, table: str, columns: dict[str, Any], counts: dict[str, int]) -> None:
        """Rows to add."""
        if len(next(iter(columns.values()))):
            rows = store.to_csv(columns).decode()
            self.steps[database].append(
                {"do": "copy", "table": table, "columns": list(columns), "csv": rows, "counts": counts}
            )

    def update(
        self,
        database: str,
        table: str,
        key: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[Any]],
        counts: dict[str, int],
    ) -> None:
        """Rows to change: each is the new values, then the key."""
        if rows:
            step = {
                "do": "update",
                "table": table,
                "key": key,
                "columns": list(columns),
                "rows": [list(row) for row in rows],
                "counts": counts,
            }
            self.steps[database].append(step)

    def delete(self, database: str, table: str, key: str, keys: Sequence[Any], counts: dict[str, int]) -> None:
        """Rows to delete for good."""
        if keys:
            self.steps[database].append(
                {"do": "delete", "table": table, "key": key, "keys": list(keys), "counts": counts}
            )


def people_of(truth: Connection, ids: np.ndarray, world: World) -> People:
    """The people with these ids (all exist), in this order."""
    wanted = np.unique(ids)
    rows = truth.cursor(row_factory=dict_row).execute(
        "select * from person where person_id = any(%s) order by person_id", (wanted.tolist(),)
    )
    return _people(rows.fetchall(), world).take(np.searchsorted(wanted, ids))


def _people(rows: list[dict[str, Any]], world: World) -> People:
    places = {code: at for at, code in enumerate(world.units.old_code.to_pylist())}
    tribes = {code: at for at, code in enumerate(education.ethnicity_codes(world).to_pylist())}

    def numbers(name: str) -> np.ndarray:
        return np.array([row[name] or 0 for row in rows], dtype=np.int64)

    def days(name: str, never: int) -> np.ndarray:
        return np.array([never if row[name] is None else (row[name] - EPOCH).days for row in rows], dtype=np.int64)

    def texts(name: str) -> Any:
        return text.pool([row[name] or None for row in rows])

    return People(
        id=numbers("person_id"),
        name=texts("full_name"),
        female=np.array([row["is_female"] for row in rows], dtype=bool),
        born=days("born_on", 0),
        birth_minute=numbers("birth_minute"),
        personal_id=texts("personal_id"),
        old_id=texts("old_id"),
        ethnicity=np.array([tribes[row["ethnicity"]] for row in rows], dtype=np.int64),
        place=np.array([places[row["old_commune"]] for row in rows], dtype=np.int64),
        birth_place=np.array([places[row["birth_commune"]] for row in rows], dtype=np.int64),
        hamlet=texts("hamlet"),
        phone=texts("phone"),
        insurance=texts("insurance_number"),
        insurance_group=texts("insurance_group"),
        mother=numbers("mother_id"),
        father=numbers("father_id"),
        spouse=numbers("spouse_id"),
        married=days("married_on", FAR),
        last_birth=days("last_birth_on", -FAR),
        births=numbers("births"),
        died=days("died_on", FAR),
        registered=days("birth_registered_on", FAR),
        death_registered=days("death_registered_on", FAR),
        birth_certificate=texts("birth_certificate"),
        death_certificate=texts("death_certificate"),
    )


class Planner:
    """Plans one day."""

    def __init__(
        self, connections: dict[str, Connection], world: World, citizens: int, day: int, hard_deletes: bool
    ) -> None:
        self.db, self.world, self.citizens, self.day, self.hard = connections, world, citizens, day, hard_deletes
        self.truth = connections["truth"]
        self.today = world.profile.as_of
        self.plan = Plan()
        self.counters: dict[str, int] = {}
        self.before: dict[str, int] = {}
        self.taken: dict[str, set[int]] = {}  # records some step of the day changes already
        self.mothers: set[int] = set()

    def make(self) -> tuple[Plan, dict[str, int]]:
        """The plan and the counters it moved."""
        self.registrations()
        self.births()
        self.deaths()
        self.marriages()
        self.visits()
        self.school()
        self.money()
        self.dossiers()
        self.name_corrections()
        self.resent_visits()
        self.repairs()
        self.soft_deletes()
        if self.hard:
            self.hard_deletes()
        return self.plan, self.counters

    # what every part needs

    def rng(self, purpose: str) -> np.random.Generator:
        return stream(self.world.seed, "tick", self.day, purpose)

    def next(self, name: str, n: int, default: int = 1) -> int:
        """Takes n numbers of a counter; returns the first."""
        if name not in self.counters:
            row = self.truth.execute("select next_value from counter where name = %s", (name,)).fetchone()
            self.counters[name] = self.before[name] = default if row is None else int(row[0])
        first = self.counters[name]
        self.counters[name] += n
        return first

    def last(self, name: str) -> int:
        """The highest number a counter had given out before today."""
        self.next(name, 0)
        return self.before[name] - 1

    def ids(self, label: str) -> Any:
        return lambda n: self.next(label, n)

    def daily(self, rng: np.random.Generator, per_year: float) -> int:
        """How many of something that happens so often a year and citizen happen today."""
        return int(rng.poisson(per_year * self.citizens / YEAR))

    def sample(self, rng: np.random.Generator, n: int) -> People:
        """Up to n different people, living or not."""
        last = self.last("person")
        ids = np.unique(rng.integers(1, last + 1, min(n, 4 * last)))
        return people_of(self.truth, rng.permutation(ids), self.world)

    def numbers(self, table: str, office: Any, year: np.ndarray) -> np.ndarray:
        """Entry numbers of registers, see civil_registry.Numbers."""
        result = [
            self.next(f"book:{table}:{code}:{at}", 1, 0)
            for code, at in zip(office.to_pylist(), year.tolist(), strict=True)
        ]
        return np.array(result, dtype=np.int64)

    def put(self, table: Table, late: int = 0) -> None:
        """Plants the day's defects and plans the rows."""
        if not table.n:
            return
        before = table.n
        kinds = {
            kind: rate for kind, rate in self.world.profile.data["defects"].items() if kind not in defects.EVENT_KINDS
        }
        defects.plant_all(table, kinds, self.rng(f"defects/{table.label}"), self.world.units, self.ids(table.label))
        counts = {"new": before - late, "late": late, "resent": table.n - before}
        self.plan.copy(table.sector, table.name, table.columns, {name: n for name, n in counts.items() if n})
        self.tell(table)

    def tell(self, table: Table) -> None:
        keys = table.keys()
        for role, persons in table.people.items():
            known = np.flatnonzero(persons != NOBODY)
            self.plan.copy("truth", "mention", mention_columns(table, role, text.pick(keys, known), persons[known]), {})
        for kind, rows in table.marks.items():
            self.plan.copy("truth", "defect", defect_columns(table, kind, rows, self.today), {})

    def pick_records(self, rng: np.random.Generator, label: str, n: int) -> list[int]:
        """Record numbers that may exist, none twice a day, ascending."""
        last = self.last(label)
        if last < 1 or n < 1:
            return []
        taken = self.taken.setdefault(label, set())
        chosen = sorted({int(at) for at in rng.integers(1, last + 1, n)} - taken)
        taken.update(chosen)
        return chosen

    def source(self, sector: str, query: str, *values: Any) -> list[dict[str, Any]]:
        return self.db[sector].cursor(row_factory=dict_row).execute(query.encode(), values).fetchall()

    # births, deaths, marriages

    def registrations(self) -> None:
        """Births and deaths whose day of registration is today."""
        for table, column in (("khai_sinh", "birth_registered_on"), ("khai_tu", "death_registered_on")):
            rows = self.truth.cursor(row_factory=dict_row).execute(
                sql.SQL("select * from person where {} = %s order by person_id").format(sql.Identifier(column)),
                (to_date(self.today),),
            )
            persons = _people(rows.fetchall(), self.world)
            rng = self.rng(table)
            if table == "khai_sinh":
                persons = persons.take(np.flatnonzero(persons.died >= self.today))
                if not len(persons):
                    continue
                mothers, fathers = (
                    people_of(self.truth, np.where(ids == NOBODY, persons.id, ids), self.world)
                    for ids in (persons.mother, persons.father)
                )
                start = self.next("civil_registry.khai_sinh", len(persons))
                made = civil_registry.khai_sinh(self.world, rng, persons, mothers, fathers, start, self.numbers)
                self.put(made, int((persons.born < self.today - 60).sum()))
            elif len(persons):
                start = self.next("civil_registry.khai_tu", len(persons))
                made = civil_registry.khai_tu(self.world, rng, persons, start, self.numbers)
                self.put(made, int((persons.died < self.today - 15).sum()))

    def births(self) -> None:
        """Children are born to married women; the facility writes its paper today, the registry follows."""
        rng, today, number = self.rng("births"), self.today, self.world.profile.number
        wanted = self.daily(rng, number("birth_rate"))
        women = self.sample(rng, 40 * wanted + 20)
        age = (today - women.born) / YEAR
        fits = women.female & (women.spouse != NOBODY) & (women.died == FAR) & (age > 19) & (age < 42)
        fits &= (women.last_birth < today - 500) & (women.married <= today - 280)
        mothers = women.take(np.flatnonzero(fits)[:wanted])
        n = len(mothers)
        if not n:
            return
        self.mothers = set(mothers.id.tolist())
        fathers = people_of(self.truth, mothers.spouse, self.world)
        start = self.next("person", n)
        ids = np.arange(start, start + n)
        female = rng.random(n) < 0.473
        born = np.full(n, today)
        highland = mothers.ethnicity > 0
        family = pc.list_element(pc.split_pattern(fathers.name, " ", max_splits=1), 0)
        prefix = text.concat("0", text.pick(self.world.units.province, mothers.place))
        year = int(text.year(born)[0])
        groups = [f"id:{at}:{int(sex)}:{year}" for at, sex in zip(prefix.to_pylist(), female.tolist(), strict=True)]
        serial = np.array([self.next(group, 1, 0) for group in groups], dtype=np.int64)
        in_hospital = rng.random(n) < number("facility_births")
        hospital = text.pick(self.world.facilities.code, self.world.facilities.hospital_of(mothers.place))
        registered = np.maximum(people.registration_day(rng, born, number("late_registration")), today + 1)
        never = np.full(n, FAR)
        children = People(
            id=ids,
            name=text.concat(family, " ", people.Names(self.world.profile).given(rng, female, highland)),
            female=female,
            born=born,
            birth_minute=rng.integers(0, text.MINUTES, n),
            personal_id=people.personal_id(prefix, female, born, serial),
            old_id=text.const(None, n),
            ethnicity=fathers.ethnicity,
            place=mothers.place,
            birth_place=mothers.place,
            hamlet=mothers.hamlet,
            phone=text.const(None, n),
            insurance=people.insurance_numbers(ids, mothers.place, self.world.units),
            insurance_group=text.const("TE1", n),
            mother=mothers.id,
            father=fathers.id,
            spouse=np.full(n, NOBODY),
            married=never,
            last_birth=-never,
            births=np.zeros(n, dtype=np.int64),
            died=never,
            registered=np.where(rng.random(n) < number("birth_registered"), registered, FAR),
            death_registered=never,
            birth_certificate=text.only(in_hospital, people.birth_paper_number(hospital, born, ids)),
            death_certificate=text.const(None, n),
        )
        self.plan.copy("truth", "person", person_columns(self.world, children), {})
        self.plan.update(
            "truth", "person", "person_id", ("last_birth_on", "births"),
            [(to_date(today).isoformat(), int(at) + 1, int(who)) for at, who in zip(mothers.births, mothers.id, strict=True)], {},
        )  # fmt: skip
        paper = np.flatnonzero(in_hospital)
        mothers = replace(mothers, births=mothers.births + 1)
        first = self.next("health.giay_chung_sinh", len(paper))
        names = text.pick(fathers.name, paper)
        made = health.giay_chung_sinh(
            self.world, self.rng("giay_chung_sinh"), children.take(paper), mothers.take(paper), names, first
        )
        self.put(made)

    def deaths(self) -> None:
        """People die, the old more often."""
        rng, today, number = self.rng("deaths"), self.today, self.world.profile.number
        wanted = self.daily(rng, number("death_rate"))
        alive = self.sample(rng, 60 * wanted + 20)
        busy = np.array([who in self.mothers for who in alive.id.tolist()], dtype=bool)
        alive = alive.take(np.flatnonzero((alive.died == FAR) & (alive.born < today - 20) & ~busy))
        wanted = min(wanted, len(alive))
        if not wanted:
            return
        hazard = np.exp(0.085 * np.clip((today - alive.born) / YEAR, 0, 105))
        dead = alive.take(np.sort(rng.choice(len(alive), wanted, replace=False, p=hazard / hazard.sum())))
        self.mothers |= set(dead.id.tolist())  # no weddings for them today
        in_hospital = rng.random(wanted) < number("facility_deaths")
        hospital = text.pick(self.world.facilities.code, self.world.facilities.hospital_of(dead.place))
        registered = np.maximum(people.death_registration_day(rng, np.full(wanted, today)), today + 1)
        dead = replace(
            dead,
            died=np.full(wanted, today),
            death_registered=np.where(rng.random(wanted) < number("death_registered"), registered, FAR),
            death_certificate=text.only(
                in_hospital, people.death_paper_number(hospital, np.full(wanted, today), dead.id)
            ),
        )
        rows = [
            (to_date(today).isoformat(), None if day == FAR else to_date(day).isoformat(), paper, int(who))
            for day, paper, who in zip(dead.death_registered, dead.death_certificate.to_pylist(), dead.id, strict=True)
        ]
        self.plan.update(
            "truth", "person", "person_id", ("died_on", "death_registered_on", "death_certificate"), rows, {}
        )
        paper = np.flatnonzero(in_hospital)
        first = self.next("health.giay_bao_tu", len(paper))
        self.put(health.giay_bao_tu(self.world, self.rng("giay_bao_tu"), dead.take(paper), first))

    def marriages(self) -> None:
        """Single men and women of about the same age marry and register it today."""
        rng, today = self.rng("marriages"), self.today
        wanted = self.daily(rng, self.world.profile.number("marriage_rate"))
        crowd = self.sample(rng, 40 * wanted + 20)
        age = (today - crowd.born) / YEAR
        gone = np.array([who in self.mothers for who in crowd.id.tolist()], dtype=bool)
        single = (crowd.spouse == NOBODY) & (crowd.died == FAR) & ~gone
        men = np.flatnonzero(single & ~crowd.female & (age > 20.1) & (age < 45))[:wanted]
        women = np.flatnonzero(single & crowd.female & (age > 18.1) & (age < 40))[:wanted]
        n = min(len(men), len(women))
        men, women = (half[:n][np.argsort(crowd.born[half[:n]], kind="stable")] for half in (men, women))
        related = (crowd.mother[men] == crowd.mother[women]) & (crowd.mother[men] != NOBODY)
        men, women = men[~related], women[~related]
        n = len(men)
        if not n:
            return
        on = np.full(n, today)
        husbands, wives = crowd.take(men), crowd.take(women)
        husbands, wives = replace(husbands, spouse=wives.id, married=on), replace(wives, spouse=husbands.id, married=on)
        on_day = to_date(today).isoformat()
        pairs = list(zip(husbands.id.tolist(), wives.id.tolist(), strict=True))
        rows = [(other, on_day, who) for a, b in pairs for other, who in ((b, a), (a, b))]
        self.plan.update("truth", "person", "person_id", ("spouse_id", "married_on"), rows, {})
        start = self.next("civil_registry.ket_hon", n)
        self.put(civil_registry.ket_hon(self.world, self.rng("ket_hon"), husbands, wives, start, self.numbers))

    # health

    def visits(self) -> None:
        """Patients who leave today, a few late reports of earlier weeks, and now and then a visit by the dead."""
        rng, today = self.rng("visits"), self.today
        sunday = to_date(today).weekday() == 6
        wanted = self.daily(rng, self.world.profile.number("visits_per_year") * (0.5 if sunday else 1.08))
        crowd = self.sample(rng, int(wanted * 1.15) + 30)
        late = rng.random(len(crowd)) < 0.03
        day = np.where(late, today - rng.integers(5, 60, len(crowd)), today)
        fits = (crowd.born < day - 12) & (crowd.died == FAR)
        patients = np.flatnonzero(fits)[:wanted]
        dead = np.flatnonzero((crowd.died < today - 30) & crowd.known_dead(today))
        extra = min(int(rng.poisson(self.world.profile.rate("visit_after_death") * wanted)), len(dead))
        who = np.concatenate([patients, dead[:extra]])
        if not len(who):
            return
        day = np.where(np.arange(len(who)) < len(patients), day[who], today)
        arrival = day * text.MINUTES + rng.integers(390, 1050, len(who))
        first = self.next("visit", len(who))
        lines = (self.next("health.xml2", 0), self.next("health.xml3", 0))
        start = self.next("health.xml1", len(who))
        tables = health.visits(self.world, self.rng("xml"), crowd.take(who), arrival, first, (start, *lines), ends=True)
        for table in tables[1:]:
            self.next(table.label, table.n)
        tables[0].marks["visit_after_death"] = np.arange(len(patients), len(who))
        after_links = set(pc.take(tables[0].columns["MA_LK"], pa.array(np.flatnonzero(day < today))).to_pylist())
        for table in tables:
            is_late = pc.is_in(table.columns["MA_LK"], pa.array(sorted(after_links), pa.string()))
            self.put(table, int(pc.sum(is_late.cast(pa.int64())).as_py() or 0))

    def resent_visits(self) -> None:
        """Visits of former days sent again as they are."""
        rng = self.rng("resent visits")
        rows = self._sound(
            "health", "xml1", "ID", self.pick_records(rng, "health.xml1", int(rng.poisson(1 + self.citizens * 1e-5)))
        )
        if not rows:
            return
        start = self.next("health.xml1", len(rows))
        old = [int(row["ID"]) for row in rows]
        names = [name for name in rows[0] if name not in (STAMP["health"], "DA_XOA")]
        columns = {name: _column([row[name] for row in rows]) for name in names}
        columns["ID"] = pa.array(np.arange(start, start + len(rows)))
        table = Table("health", "xml1", "ID", columns, marks={"resent": np.arange(len(rows))})
        found = dict(self._mentioned("health", "xml1", [str(at) for at in old], "self"))
        table.people = {"self": np.array([found.get(str(at), NOBODY) for at in old], dtype=np.int64)}
        self.plan.copy("health", "xml1", columns, {"resent": len(rows)})
        self.tell(table)

    def _mentioned(self, sector: str, dataset: str, keys: list[str], role: str) -> list[tuple[str, int]]:
        rows = self.truth.execute(
            "select key, person_id from mention where sector = %s and dataset = %s and role = %s and key = any(%s) order by key",
            (sector, dataset, role, keys),
        )
        return [(str(key), int(who)) for key, who in rows.fetchall()]

    def _sound(self, sector: str, dataset: str, key: str, numbers: list[int]) -> list[dict[str, Any]]:
        """Records that exist, are not deleted and carry no defect, by number."""
        query = sql.SQL("select * from {} where {key} = any(%s) and not {} order by {key}").format(
            sql.Identifier("public", dataset), sql.Identifier(SOFT_DELETE[sector]), key=sql.Identifier(key)
        )
        rows = self.db[sector].cursor(row_factory=dict_row).execute(query, (numbers,)).fetchall()
        marked = self.truth.execute(
            "select key from defect where sector = %s and dataset = %s and key = any(%s)",
            (sector, dataset, [str(at) for at in numbers]),
        )
        bad = {str(row[0]) for row in marked}
        return [row for row in rows if str(row[key]) not in bad]

    # education

    def school(self) -> None:
        """Moves between classes, results after the end of a term, marks put right."""
        rng = self.rng("school")
        chosen = self.pick_records(rng, "education.hocsinh", int(rng.poisson(0.5 + self.citizens * 1.5e-5)))
        moves = self.source(
            "education",
            """
            select distinct on (h.id) h.id, other.malop
            from hocsinh as h
            join lop as own on own.malop = h.malop
            join lop as other on other.matruong = own.matruong and other.namhoc = own.namhoc
                and other.makhoi = own.makhoi and other.malop <> own.malop
            where h.id = any(%s) and h.matrangthaihientai in ('1', '2') and not h.daxoa
            order by h.id, other.malop
            """,
            chosen,
        )
        self.plan.update(
            "education",
            "hocsinh",
            "id",
            ("malop",),
            [(row["malop"], row["id"]) for row in moves],
            {"changed": len(moves)},
        )

        fixes = self.source(
            "education",
            "select id, songaynghi from ketquahoctap where id = any(%s) and not daxoa order by id",
            self.pick_records(rng, "education.ketquahoctap", int(rng.poisson(0.5 + self.citizens * 2e-5))),
        )
        absent = [(row["songaynghi"] + 1, row["id"]) for row in fixes]
        self.plan.update("education", "ketquahoctap", "id", ("songaynghi",), absent, {"changed": len(fixes)})
        self._term_results()

    def _term_results(self) -> None:
        year, month, _ = (int(part[0]) for part in text.ymd(np.array([self.today])))
        began = year - 1 if month < 8 else year
        for term in (1, 2):
            since = self.today - education.term_end(began, term)
            if not 1 <= since <= 20:
                continue
            last = self.last("education.hocsinh")
            low, high = last * (since - 1) // 20, last * since // 20
            rows = self.source(
                "education",
                """
                select distinct on (h.mahocsinh) h.mahocsinh, h.malop, l.makhoi
                from hocsinh as h join lop as l on l.malop = h.malop
                where h.id > %s and h.id <= %s and h.namhoc = %s and h.matrangthaihientai in ('1', '2') and l.makhoi <= '12'
                    and not h.daxoa and h.mahocsinh not like '99%%'
                order by h.mahocsinh, h.id
                """,
                low, high, education.school_year(began),
            )  # fmt: skip
            if rows:
                numbers, classes = (text.pool([row[name] for row in rows]) for name in ("mahocsinh", "malop"))
                grade = np.array([int(row["makhoi"]) for row in rows])
                start = self.next("education.ketquahoctap", len(rows))
                self.put(education.results(self.rng("results"), numbers, classes, grade, began, term, start))

    # investment

    def money(self) -> None:
        """Month ends bring what was paid; other days confirm, lock and correct; plans change now and then."""
        rng, today = self.rng("money"), self.today
        year, month, _ = (int(part[0]) for part in text.ymd(np.array([today])))
        if int(text.ymd(np.array([today + 1]))[2][0]) == 1:
            self._paid(rng, year, month)
            if month == 1:
                self._paid(rng, year - 1, 13)
        waiting = self.source(
            "investment",
            "select id, nam, trang_thai from giai_ngan where id = any(%s) and trang_thai < '3' and not da_xoa order by id",
            self.pick_records(rng, "investment.giai_ngan", 40),
        )
        rows = [
            ("2" if row["trang_thai"] == "1" else "3", row["id"])
            for row in waiting
            if row["trang_thai"] == "1" or today > int(investment.month_end(np.array([row["nam"]]), np.array([13]))[0])
        ]
        self.plan.update("investment", "giai_ngan", "id", ("trang_thai",), rows, {"changed": len(rows)})
        if rng.random() < 0.3:
            plans = self.source(
                "investment",
                "select id, so_von from ke_hoach_von where id = any(%s) and nam = %s and not da_xoa order by id",
                self.pick_records(rng, "investment.ke_hoach_von", 8), year,
            )  # fmt: skip
            changed = [
                (str((row["so_von"] * (90 + int(rng.integers(0, 25))) / 100).quantize(row["so_von"])), row["id"])
                for row in plans
            ]
            self.plan.update("investment", "ke_hoach_von", "id", ("so_von",), changed, {"changed": len(changed)})
        solved = self.source(
            "investment",
            "select id from vuong_mac where id = any(%s) and ngay_giai_quyet is null and not da_xoa order by id",
            self.pick_records(rng, "investment.vuong_mac", 5),
        )
        done = [(to_date(today).isoformat(), row["id"]) for row in solved]
        self.plan.update("investment", "vuong_mac", "id", ("ngay_giai_quyet",), done, {"changed": len(solved)})

    def _paid(self, rng: np.random.Generator, year: int, month: int) -> None:
        """Rows of one month for every running project with a plan of the budget year."""
        rows = self.source(
            "investment",
            """
            select p.ma_du_an, p.ma_nguon_von,
                   max(case when p.don_vi_tinh = 'triệu đồng' then p.so_von * 1000000 else p.so_von end)::bigint as so_von,
                   (select coalesce(max(g.luy_ke_nam), 0)::bigint from giai_ngan as g
                    where g.ma_du_an = p.ma_du_an and g.ma_nguon_von = p.ma_nguon_von and g.nam = p.nam and g.thang < %s) as luy_ke
            from ke_hoach_von as p join du_an as d using (ma_du_an)
            where p.nam = %s and not p.da_xoa and not d.da_xoa and d.trang_thai = '2'
                and not exists (select from giai_ngan as g where g.ma_du_an = p.ma_du_an and g.ma_nguon_von = p.ma_nguon_von
                                and g.nam = p.nam and g.thang = %s)
            group by p.ma_du_an, p.ma_nguon_von, p.nam
            order by p.ma_du_an, p.ma_nguon_von
            """,
            month, year, month,
        )  # fmt: skip
        n = len(rows)
        if not n:
            return
        plan, running = (np.array([int(row[name]) for row in rows], dtype=np.int64) for name in ("so_von", "luy_ke"))
        paid = np.maximum(
            np.round(np.maximum(plan - running, plan // 50) * rng.uniform(0.1, 0.6, n)).astype(np.int64) // 1000 * 1000,
            1000,
        )
        start = self.next("investment.giai_ngan", n)
        self.put(
            Table(
                "investment",
                "giai_ngan",
                "id",
                {
                    "id": pa.array(np.arange(start, start + n)),
                    "ma_du_an": text.pool([row["ma_du_an"] for row in rows]),
                    "ma_nguon_von": text.pool([row["ma_nguon_von"] for row in rows]),
                    "nam": pa.array(np.full(n, year)),
                    "thang": pa.array(np.full(n, month)),
                    "so_tien_thang": pa.array(paid),
                    "luy_ke_nam": pa.array(running + paid),
                    "so_chung_tu": text.concat(f"CT{year % 100:02d}-", text.fixed(np.arange(start, start + n), 6)),
                    "ngay_bao_cao": text.dates(np.full(n, self.today)),
                    "trang_thai": text.const("1", n),
                },
            )
        )

    # one-stop

    def dossiers(self) -> None:
        """Open dossiers move on, new ones come in, and now and then one turns out to have been entered by mistake."""
        rng, today = self.rng("dossiers"), self.today
        before, until = today * text.MINUTES - 1, (today + 1) * text.MINUTES - 1
        rows = self.source(
            "one_stop",
            """
            select "IdBanGhi", "MaHoSo", "DonViXuLy", "NgayTiepNhan" from hoso
            where "TrangThaiHoSo" = any(%s) and "SuKien" <> 'CANCEL' order by "IdBanGhi"
            """,
            list(one_stop.OPEN),
        )
        mistaken = {int(rows[at]["IdBanGhi"]) for at in np.flatnonzero(rng.random(len(rows)) < 0.0005)}
        rows = [row for row in rows if row["IdBanGhi"] not in mistaken]
        self.plan.update(
            "one_stop", "hoso", "IdBanGhi", ("SuKien",), [("CANCEL", at) for at in sorted(mistaken)],
            {"soft_deleted": len(mistaken)},
        )  # fmt: skip
        numbers = np.array([row["IdBanGhi"] for row in rows], dtype=np.int64)
        day = np.array([one_stop.minutes_of(row["NgayTiepNhan"]) // text.MINUTES for row in rows], dtype=np.int64)
        life = one_stop.lives(self.world.seed, numbers, day)
        old, new = one_stop.state(life, before), one_stop.state(life, until)
        moved = np.flatnonzero(old["version"] != new["version"])
        values = [new[name].to_pylist() for name in one_stop.CHANGING]
        changed = [(*(column[at] for column in values), int(numbers[at])) for at in moved]
        self.plan.update("one_stop", "hoso", "IdBanGhi", one_stop.CHANGING, changed, {"changed": len(changed)})

        crowd = self.sample(rng, 2 * self.daily(rng, one_stop.DOSSIERS_PER_YEAR) + 10)
        persons = crowd.take(one_stop.applicants(rng, crowd, self.daily(rng, one_stop.DOSSIERS_PER_YEAR), today))
        first = self.next("one_stop.hoso", len(persons))
        fresh = np.arange(first, first + len(persons))
        begun = one_stop.lives(self.world.seed, fresh, np.full(len(fresh), today))
        made = one_stop.hoso(self.world, fresh, persons, begun, until)
        new_codes, new_agencies = made.columns["MaHoSo"], made.columns["DonViXuLy"]  # the steps keep the good codes
        self.put(made)
        earlier = text.pool([row["DonViXuLy"] for row in rows])
        for codes, agencies, of in (
            (one_stop.dossier_codes(earlier, day, numbers), earlier, life),
            (new_codes, new_agencies, begun),
        ):
            self.put(one_stop.qua_trinh(self.world, codes, agencies, of, before, until, self.ids("one_stop.qua_trinh")))

    # corrections and deletions

    def name_corrections(self) -> None:
        """Cải chính: people get another name in the birth register, and are called so from now on."""
        rng = self.rng("cai_chinh")
        crowd = self.sample(rng, 1 + int(rng.poisson(0.3 + self.citizens * 1e-5)))
        gone = np.array([who in self.mothers for who in crowd.id.tolist()], dtype=bool)
        crowd = crowd.take(np.flatnonzero((crowd.died == FAR) & (crowd.registered <= self.today - 20) & ~gone))
        found = self.truth.execute(
            "select person_id, min(key::bigint) from mention where person_id = any(%s) and sector = 'civil_registry'"
            " and dataset = 'khai_sinh' and role = 'self' group by person_id",
            (crowd.id.tolist(),),
        )
        entries = {int(row[0]): int(row[1]) for row in found}
        sound = {int(row["id"]) for row in self._sound("civil_registry", "khai_sinh", "id", sorted(entries.values()))}
        crowd = crowd.take(
            np.array([at for at, who in enumerate(crowd.id.tolist()) if entries.get(who) in sound], dtype=np.int64)
        )
        n = len(crowd)
        if not n:
            return
        new = civil_registry.other_name(self.world, rng, crowd)
        origin = [entries[who] for who in crowd.id.tolist()]
        self.taken.setdefault("civil_registry.khai_sinh", set()).update(origin)
        start = self.next("civil_registry.cai_chinh", n)
        made = civil_registry.cai_chinh(
            self.world, rng, crowd, crowd.name, new, np.full(n, self.today), pa.array(origin), start, self.numbers
        )
        self.put(made)
        names = new.to_pylist()
        self.plan.update(
            "civil_registry", "khai_sinh", "id", ("nksHoTen",), list(zip(names, origin, strict=True)), {"corrected": n}
        )
        self.plan.update(
            "truth", "person", "person_id", ("full_name",), list(zip(names, crowd.id.tolist(), strict=True)), {}
        )

    def repairs(self) -> None:
        """The sources put some planted defects right."""
        for found in repairs(self.truth, self.db, self.day, int(self.rng("repairs").poisson(1 + self.citizens * 1e-5))):
            taken = self.taken.setdefault(f"{found.sector}.{found.dataset}", set())
            if isinstance(found.key, int):
                if found.key in taken:
                    continue
                taken.add(found.key)
            row = (*found.values.values(), found.key)
            self.plan.update(found.sector, found.dataset, found.key_column, list(found.values), [row], {"corrected": 1})
            record = {"sector": found.sector, "dataset": found.dataset, "key": str(found.key), "kind": found.kind}
            self.plan.steps["truth"].append({"do": "repaired", **record, "on": to_date(self.today).isoformat()})

    def soft_deletes(self) -> None:
        """Records withdrawn by their agency: flagged, not gone; a visit goes with its lines."""
        rng = self.rng("soft deletes")
        for label, key, rate in (
            ("health.xml1", "ID", 2e-5), ("education.hocsinh", "id", 5e-6), ("education.ketquahoctap", "id", 5e-6),
            ("civil_registry.khai_sinh", "id", 3e-6), ("investment.giai_ngan", "id", 2e-7),
        ):  # fmt: skip
            sector, dataset = label.split(".")
            rows = self._sound(
                sector, dataset, key, self.pick_records(rng, label, int(rng.poisson(0.4 + self.citizens * rate)))
            )
            flag = SOFT_DELETE[sector]
            self.plan.update(
                sector, dataset, key, (flag,), [(True, row[key]) for row in rows], {"soft_deleted": len(rows)}
            )
            if label == "health.xml1":
                self._lines(rows, hard=False)

    def _lines(self, visits: list[dict[str, Any]], hard: bool) -> None:
        for dataset in ("xml2", "xml3"):
            query = sql.SQL('select "ID" from {} where "MA_LK" = any(%s) and not "DA_XOA" order by "ID"')
            found = self.db["health"].execute(
                query.format(sql.Identifier(dataset)), ([row["MA_LK"] for row in visits],)
            )
            numbers = [row[0] for row in found.fetchall()]
            if hard:
                self.plan.delete("health", dataset, "ID", numbers, {"hard_deleted": len(numbers)})
            else:
                self.plan.update(
                    "health", dataset, "ID", ("DA_XOA",), [(True, at) for at in numbers], {"soft_deleted": len(numbers)}
                )

    def hard_deletes(self) -> None:
        """Records that vanish without a flag; the truth about them goes too."""
        rng = self.rng("hard deletes")
        # Of tables large enough that a few rows are no large share: more than that is what a sweep's guard is for.
        for label in ("health.xml1", "education.hocsinh", "civil_registry.ket_hon"):
            sector, dataset = label.split(".")
            key = "ID" if sector == "health" else "id"
            rows = self._sound(
                sector, dataset, key, self.pick_records(rng, label, 2 + int(rng.poisson(self.citizens * 5e-6)))
            )
            numbers = [row[key] for row in rows]
            if label == "health.xml1":
                self._lines(rows, hard=True)
            self.plan.delete(sector, dataset, key, numbers, {"hard_deleted": len(numbers)})
            if numbers:
                keys = [str(at) for at in numbers]
                self.plan.steps["truth"].append({"do": "forget", "sector": sector, "dataset": dataset, "keys": keys})


def _column(values: list[Any]) -> Any:
    """Values of a source row as a column: numbers and dates as text, which COPY reads as well."""
    if all(isinstance(value, bool | None) for value in values):
        return pa.array(values, pa.bool_())
    if all(isinstance(value, int | None) for value in values):
        return pa.array(values, pa.int64())
    written = [value.isoformat() if isinstance(value, date) else value for value in values]
    return pa.array([None if value is None else str(value) for value in written], pa.string())
