"""The rows of a seed, without a database: the same every time, sound where they carry no defect, marked where they do."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from demo import defects, profile, seed, store
from demo.errors import DemoError

CITIZENS = 6000
REFORM = date(2025, 7, 1)
Rows = list[dict[str, Any]]


class Memory:
    """Takes the place of store.Loader and keeps what it is given."""

    kept: dict[str, dict[str, list[pa.Table]]] = {}

    def __init__(self, uri: str, database: str) -> None:
        self.tables: dict[str, list[pa.Table]] = defaultdict(list)
        Memory.kept[database] = self.tables
        self.rows: dict[str, int] = {}

    def add(self, table: str, columns: dict[str, Any]) -> None:
        self.tables[table].append(pa.table(columns))
        self.rows[table] = self.rows.get(table, 0) + self.tables[table][-1].num_rows

    def finish(self) -> None:
        """Nothing waits."""

    cancel = finish


class Sample:
    """A seed in memory."""

    def __init__(self, number: int = 7, path: Path = profile.DEFAULT, citizens: int = CITIZENS) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store, "Loader", Memory)
            patch.setattr(seed, "_forget", lambda uri: None)
            patch.setattr(seed._Seeding, "_mark", lambda self, result: None)
            chosen, known = profile.load(path), seed.units.load()
            world = seed.World(number, chosen, known, seed.people.facilities(known))
            uris = dict.fromkeys(store.DATABASES, "")
            self.result = seed._Seeding(uris, world, citizens, "", lambda *_: None).run()
        self.tables = {
            f"{database}.{name}": pa.concat_tables(parts, promote_options="permissive")
            for database, tables in Memory.kept.items()
            for name, parts in tables.items()
        }
        self.marked: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for row in self.all("truth.defect"):
            self.marked[f"{row['sector']}.{row['dataset']}"][row["kind"]].add(row["key"])
        self.people = {row["person_id"]: row for row in self.tables["truth.person"].to_pylist()}
        self.mentions: dict[str, dict[str, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
        for row in self.tables["truth.mention"].to_pylist():
            self.mentions[f"{row['sector']}.{row['dataset']}"][row["key"]][row["role"]] = self.people[row["person_id"]]

    def all(self, label: str) -> Rows:
        return list(self.tables[label].to_pylist()) if label in self.tables else []

    def sound(self, label: str, key: str = "id") -> Rows:
        bad = set().union(*self.marked[label].values())
        return [row for row in self.all(label) if str(row[key]) not in bad]

    def defective(self, label: str, kind: str, key: str = "id") -> Rows:
        return [row for row in self.all(label) if str(row[key]) in self.marked[label][kind]]


@pytest.fixture(scope="module")
def sample() -> Sample:
    return Sample()


def profile_with(folder: Path, **rates: float) -> Path:
    data = yaml.safe_load(profile.DEFAULT.read_text(encoding="utf-8"))
    data["defects"] = rates
    path = folder / "profile.yaml"
    path.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    return path


def dotted(value: str) -> date:
    day, month, year = (int(part) for part in value.split("."))
    return date(year, month, day)


def minute(value: str) -> datetime:
    return datetime.strptime(value, "%Y%m%d%H%M")  # noqa: DTZ007 (local time, as in the source)


def consistent(number: str, person: dict[str, Any]) -> bool:
    born = person["born_on"]
    century = (born.year // 100 - 19) * 2 + person["is_female"]
    return re.fullmatch(r"0\d{11}", number) is not None and number[3:6] == f"{century}{born.year % 100:02d}"


def test_the_same_arguments_give_the_same_rows(sample: Sample) -> None:
    again = Sample()
    assert again.tables.keys() == sample.tables.keys()
    assert [name for name in sample.tables if not again.tables[name].equals(sample.tables[name])] == []


def test_another_seed_gives_other_people(sample: Sample) -> None:
    other = Sample(number=8)
    names = {row["full_name"] for row in other.all("truth.person")} & {
        row["full_name"] for row in sample.all("truth.person")
    }
    assert len(names) < CITIZENS
    assert not other.tables["truth.person"].equals(sample.tables["truth.person"])


def test_numbers_of_people_are_unique_and_tell_sex_and_year(sample: Sample) -> None:
    persons = sample.all("truth.person")
    assert len({row["personal_id"] for row in persons}) == len(persons) == CITIZENS
    assert len({row["insurance_number"] for row in persons}) == CITIZENS
    assert all(consistent(row["personal_id"], row) for row in persons)
    assert all(len(row["full_name"].split()) >= 3 for row in persons)
    assert all(unicodedata.is_normalized("NFC", row["full_name"]) for row in persons)


def test_lives_are_possible(sample: Sample) -> None:
    for row in sample.people.values():
        if row["died_on"]:
            assert row["died_on"] > row["born_on"]
            assert row["married_on"] is None or row["married_on"] < row["died_on"]
        if row["spouse_id"]:
            other = sample.people[row["spouse_id"]]
            assert other["spouse_id"] == row["person_id"]
            assert other["married_on"] == row["married_on"]
            age = (row["married_on"] - row["born_on"]).days / 365.2425
            assert age >= (18 if row["is_female"] else 20)
        if row["mother_id"]:
            mother, father = sample.people[row["mother_id"]], sample.people[row["father_id"]]
            assert mother["is_female"] and not father["is_female"]
            assert (row["born_on"] - mother["born_on"]).days > 18 * 365
            assert all(parent["died_on"] is None or parent["died_on"] > row["born_on"] for parent in (mother, father))
            assert row["full_name"].split()[0] == father["full_name"].split()[0]


PERSONAL = {
    "education.hocsinh": ("sodinhdanh", "id", "self"),
    "education.giaovien": ("sodinhdanh", "magiaovien", "self"),
    "health.xml1": ("SO_CCCD", "ID", "self"),
    "health.giay_chung_sinh": ("SO_CCCD_ME", "ID", "mother"),
    "civil_registry.khai_sinh": ("nksSoDinhDanh", "id", "self"),
    "civil_registry.khai_tu": ("nktSoDinhDanh", "id", "self"),
}


@pytest.mark.parametrize("label", sorted(PERSONAL))
def test_sound_rows_carry_the_persons_own_number(sample: Sample, label: str) -> None:
    column, key, role = PERSONAL[label]
    for row in sample.sound(label, key):
        person = sample.mentions[label][str(row[key])][role]
        assert row[column] in (None, person["personal_id"], person["old_id"])


def test_sound_registrations_are_in_order(sample: Sample) -> None:
    for row in sample.sound("civil_registry.khai_sinh"):
        born, day = dotted(row["nksNgaySinh"]), row["ngayDangKy"]
        assert day >= born
        assert row["loaiDangKy"] == "2" or (row["loaiDangKy"] == "4") == ((day - born).days > 60)
        assert (row["maHuyen"] is None) == (day >= REFORM)
        assert row["nksSoDinhDanh"] is None or day >= date(2016, 1, 1)
    for row in sample.sound("civil_registry.khai_tu"):
        assert dotted(row["nktNgaySinh"]) <= dotted(row["nktNgayChet"]) <= row["ngayDangKy"]
    for row in sample.sound("civil_registry.nhan_cha_me_con"):
        assert dotted(row["ncNgaySinh"]) <= row["ngayDangKy"]


def test_codes_follow_the_date(sample: Sample) -> None:
    known = seed.units.load()
    old, new = set(known.old_code.to_pylist()), set(known.new_code.to_pylist())
    seen = set()
    for row in sample.sound("health.xml1", "ID"):
        after = minute(row["NGAY_VAO"]).date() >= REFORM
        seen.add(after)
        assert row["MAXA_CU_TRU"] in (new if after else old)
        assert (row["MAHUYEN_CU_TRU"] is None) == after
        assert row["MATINH_CU_TRU"] == "44" or not after
    assert seen == {True, False}
    for row in sample.defective("health.xml1", "old_commune_code", "ID"):
        assert minute(row["NGAY_VAO"]).date() >= REFORM
        assert row["MAXA_CU_TRU"] in old and row["MAHUYEN_CU_TRU"] is not None


def test_sound_visits_add_up(sample: Sample) -> None:
    sums: dict[str, dict[str, float]] = {"xml2": defaultdict(float), "xml3": defaultdict(float)}
    for name, total in sums.items():
        copies = sample.marked[f"health.{name}"]["resent"]
        for row in sample.all(f"health.{name}"):
            if str(row["ID"]) not in copies:
                total[row["MA_LK"]] += row["THANH_TIEN_BV"]
    for row in sample.sound("health.xml1", "ID"):
        assert minute(row["NGAY_VAO"]) <= minute(row["NGAY_RA"]) <= minute(row["NGAY_TTOAN"])
        assert row["T_THUOC"] == sums["xml2"].get(row["MA_LK"], 0)
        assert row["T_DICH_VU"] == sums["xml3"][row["MA_LK"]]
        assert (
            row["T_TONGCHI_BV"] == row["T_THUOC"] + row["T_DICH_VU"] == row["T_BNTT"] + row["T_BNCCT"] + row["T_BHTT"]
        )
        person = sample.mentions["health.xml1"][str(row["ID"])]["self"]
        assert person["born_on"] <= minute(row["NGAY_VAO"]).date()
        assert person["died_on"] is None or minute(row["NGAY_RA"]).date() <= person["died_on"]
        assert re.search(r"\d{12}", row["MA_LK"] + " " + row["MA_BN"]) is None


def test_every_kind_finds_rows_where_all_ask_for_many(tmp_path: Path) -> None:
    """Together they want more rows than there are: each gets less, none nothing, and sound rows are left."""
    kinds = [*defects.KINDS, *defects.EVENT_KINDS]
    crowded = Sample(path=profile_with(tmp_path, **dict.fromkeys(kinds, 0.3)))
    planted = {kind for of_table in crowded.marked.values() for kind, keys in of_table.items() if keys}
    assert sorted(set(kinds) - planted) == []
    assert len(crowded.sound("health.xml1", "ID")) > 0.1 * len(crowded.all("health.xml1"))
    for row in crowded.defective("health.giay_bao_tu", "two_digit_year", "ID"):
        assert (
            row["NGAY_SINH"][-2:] >= "30"
            or crowded.mentions["health.giay_bao_tu"][str(row["ID"])]["self"]["born_on"].year >= 2000
        )


def test_numbers_are_shared_by_people_of_different_names(tmp_path: Path) -> None:
    data = yaml.safe_load(profile.DEFAULT.read_text(encoding="utf-8"))
    data["names"] = {listed: names[:1] for listed, names in data["names"].items()}
    data["highland_share"], data["defects"] = 0, {"shared_id": 0.3}
    path = tmp_path / "namesakes.yaml"
    path.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    found = Sample(path=path, citizens=1000)
    assert len({row["full_name"] for row in found.people.values()}) == 2
    assert [label for label, kinds in found.marked.items() if kinds["shared_id"]] == []


def test_visits_after_death_are_what_they_say(sample: Sample, tmp_path: Path) -> None:
    ghosts = Sample(path=profile_with(tmp_path, visit_after_death=0.01))
    rows = ghosts.defective("health.xml1", "visit_after_death", "ID")
    assert rows
    for row in rows:
        person = ghosts.mentions["health.xml1"][str(row["ID"])]["self"]
        assert minute(row["NGAY_VAO"]).date() > person["died_on"]


def test_visits_after_death_follow_deaths_of_which_a_sound_record_tells(tmp_path: Path) -> None:
    found = Sample(path=profile_with(tmp_path, visit_after_death=0.05, wrong_id=0.3, impossible_date=0.3, nameless=0.3))
    told = {
        found.mentions[label][str(row[key])]["self"]["person_id"]
        for label, key in (("civil_registry.khai_tu", "id"), ("health.giay_bao_tu", "ID"))
        for row in found.sound(label, key)
    }
    rows = found.defective("health.xml1", "visit_after_death", "ID")
    assert rows
    assert {found.mentions["health.xml1"][str(row["ID"])]["self"]["person_id"] for row in rows} <= told


def test_money_adds_up_and_some_years_end_above_the_plan(sample: Sample) -> None:
    running: dict[tuple[str, str, int], int] = defaultdict(int)
    sound = {row["id"] for row in sample.sound("investment.giai_ngan")}
    copies = sample.marked["investment.giai_ngan"]["resent"]
    for row in sample.all("investment.giai_ngan"):
        if str(row["id"]) in copies:
            continue
        key = (row["ma_du_an"], row["ma_nguon_von"], row["nam"])
        running[key] += row["so_tien_thang"]
        assert row["luy_ke_nam"] == running[key] or row["id"] not in sound
        assert 1 <= row["thang"] <= 13
    plans = {
        (row["ma_du_an"], row["ma_nguon_von"], row["nam"]): row["so_von"]
        * (1 if row["don_vi_tinh"] == "đồng" else 1_000_000)
        for row in sample.sound("investment.ke_hoach_von")
    }
    assert any(paid > plans[key] for key, paid in running.items() if key in plans)
    assert len(sample.all("investment.du_an")) >= 60


def test_pupils_sit_in_classes_of_their_school_and_some_children_do_not_go(sample: Sample) -> None:
    classes = {row["malop"]: row["matruong"] for row in sample.all("education.lop")}
    schools = {row["matruong"] for row in sample.all("education.truong")}
    assert set(classes.values()) <= schools
    enrolled = set()
    for row in sample.all("education.hocsinh"):
        assert classes[row["malop"]] == row["matruong"]
        enrolled.add(sample.mentions["education.hocsinh"][str(row["id"])]["self"]["person_id"])
    missing = [
        row
        for row in sample.people.values()
        if 2015 <= row["born_on"].year <= 2020
        and row["died_on"] is None
        and row["birth_registered_on"]
        and row["person_id"] not in enrolled
    ]
    assert missing


def test_every_kind_is_planted_at_its_rate(tmp_path: Path) -> None:
    rates = dict.fromkeys([*defects.KINDS, *defects.EVENT_KINDS], 0.02)
    path = profile_with(tmp_path, **rates)
    planted = Sample(path=path)
    assert planted.result["defects"].keys() == rates.keys()
    for kind, counts in planted.result["defects"].items():
        assert counts["planted"] == pytest.approx(0.02 * counts["eligible"], rel=0.15, abs=30), kind
        marked = sum(len(keys[kind]) for keys in planted.marked.values())
        assert marked == counts["planted"], kind


def test_a_profile_without_defects_gives_none(tmp_path: Path) -> None:
    clean = Sample(path=profile_with(tmp_path))
    assert clean.result["defects"] == {}
    assert "truth.defect" not in clean.tables


def test_defects_look_like_their_kind(sample: Sample) -> None:
    first = {row["mahocsinh"] for row in sample.sound("education.hocsinh")}
    for row in sample.defective("education.hocsinh", "resent"):
        assert row["mahocsinh"] in first
    for row in sample.defective("education.hocsinh", "duplicate"):
        assert row["mahocsinh"] not in first
    for row in sample.defective("education.hocsinh", "year_only_birth"):
        assert row["ngaythangnamsinh"] is None and 2000 < row["namsinh"] < 2027
    for row in sample.defective("health.xml1", "nfd_text", "ID"):
        assert not unicodedata.is_normalized("NFC", row["HO_TEN"] + row["DIA_CHI"])
    for row in sample.defective("health.xml1", "dates_out_of_order", "ID"):
        assert minute(row["NGAY_RA"]) < minute(row["NGAY_VAO"])
    for row in sample.defective("civil_registry.khai_sinh", "dates_out_of_order"):
        assert row["ngayDangKy"] < dotted(row["nksNgaySinh"])
    for row in sample.defective("health.xml1", "wrong_id", "ID"):
        assert not consistent(row["SO_CCCD"], sample.mentions["health.xml1"][str(row["ID"])]["self"])
    for row in sample.defective("health.xml1", "swapped_id", "ID"):
        assert row["SO_CCCD"] != sample.mentions["health.xml1"][str(row["ID"])]["self"]["personal_id"]


def test_names_of_schools_offices_and_projects_name_nobody(sample: Sample) -> None:
    names = {row["full_name"] for row in sample.people.values()}
    titles = [row["tentruong"] for row in sample.all("education.truong")]
    titles += [row["ten"] for row in sample.all("investment.du_an")]
    titles += [row["TEN_CSKCB"] for row in sample.all("health.co_so_kcb")]
    words = {
        " ".join(title.split()[at : at + n]) for title in titles for n in (3, 4) for at in range(len(title.split()))
    }
    assert not words & names


@pytest.mark.parametrize(
    "label", [f"{database}.{path.stem}" for path in store.SCHEMA.glob("*.sql") for database in [path.stem]]
)
def test_every_column_of_the_schema_has_a_comment(label: str) -> None:
    before, after = store.ddl(label.split(".")[0])
    columns = sum(
        len(re.findall(r"^    (?!primary key)\S", body, re.M))
        for body in re.findall(r"create table .*?\n\);", before, re.S)
    )
    assert len(re.findall(r"^comment on column", before, re.M)) == columns
    assert "create index" in after or "primary key" in before


def test_bad_arguments_are_told(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="no profile at"):
        profile.load(tmp_path / "none.yaml")
    with pytest.raises(DemoError, match="between 0 and 0.5"):
        profile.load(profile_with(tmp_path, resent=3.0))
    with pytest.raises(DemoError, match="defects.typo: no such kind of defect"):
        seed.seed(dict.fromkeys(store.DATABASES, ""), 1000, 1, profile_with(tmp_path, typo=0.1))
    with pytest.raises(DemoError, match="too small"):
        seed.seed({}, 10, 1)
    with pytest.raises(DemoError, match="no connection for"):
        seed.seed({"truth": ""}, 1000, 1)
