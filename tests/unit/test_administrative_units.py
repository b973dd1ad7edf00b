"""The administrative-unit seeds: what the committed CSVs promise, and how the script that makes them fails."""

from __future__ import annotations

import csv
import importlib.util
import os
import subprocess
import sys
import unicodedata
from collections import Counter, defaultdict
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SEEDS = ROOT / "dbt_project" / "seeds"
BEFORE_REFORM = "2025-06-30"
REFORM = "2025-07-01"
TODAY = "2026-10-31"

Row = dict[str, str]


def load_script() -> ModuleType:
    """Import scripts/administrative_units.py, which is in no package."""
    spec = importlib.util.spec_from_file_location("administrative_units", ROOT / "scripts" / "administrative_units.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


script = load_script()


def read(name: str) -> list[Row]:
    with (SEEDS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def units() -> list[Row]:
    return read("administrative_unit.csv")


@pytest.fixture(scope="module")
def moves() -> list[Row]:
    return read("administrative_unit_mapping.csv")


def valid_at(units: list[Row], day: str, level: str | None = None, province: str | None = None) -> list[Row]:
    return [
        unit
        for unit in units
        if unit["valid_from"] <= day
        and (not unit["valid_to"] or day < unit["valid_to"])
        and level in (None, unit["level"])
        and province in (None, unit["province_code"])
    ]


def types(units: list[Row]) -> dict[str, int]:
    return dict(Counter(unit["unit_type"] for unit in units))


class TestUnits:
    def test_the_country_before_the_reform(self, units: list[Row]) -> None:
        counts = Counter(unit["level"] for unit in valid_at(units, BEFORE_REFORM))
        assert counts == {"province": 63, "district": 696, "commune": 10_035}

    def test_the_country_on_the_day_of_the_reform(self, units: list[Row]) -> None:
        assert len(valid_at(units, REFORM, "province")) == 34
        assert valid_at(units, REFORM, "district") == []
        assert types(valid_at(units, REFORM, "commune")) == {"xã": 2_621, "phường": 687, "đặc khu": 13}

    @pytest.mark.parametrize(
        ("day", "cities", "communes"),
        [
            ("2026-04-29", 6, {"xã": 2_621, "phường": 687, "đặc khu": 13}),
            ("2026-04-30", 7, {"xã": 2_611, "phường": 697, "đặc khu": 13}),
            ("2026-09-01", 8, {"xã": 2_611, "phường": 697, "đặc khu": 13}),
            ("2026-09-20", 9, {"xã": 2_599, "phường": 709, "đặc khu": 13}),
        ],
    )
    def test_the_amendments_of_2026(self, units: list[Row], day: str, cities: int, communes: dict[str, int]) -> None:
        assert types(valid_at(units, day, "province")) == {"thành phố": cities, "tỉnh": 34 - cities}
        assert types(valid_at(units, day, "commune")) == communes

    @pytest.mark.parametrize(
        ("province", "name", "new_types"),
        [
            ("44", "Quảng Trị", {"xã": 69, "phường": 8, "đặc khu": 1}),
            ("48", "Đà Nẵng", {"xã": 70, "phường": 23, "đặc khu": 1}),
            ("80", "Tây Ninh", {"xã": 82, "phường": 14}),
        ],
    )
    def test_the_demo_provinces(self, units: list[Row], province: str, name: str, new_types: dict[str, int]) -> None:
        (unit,) = valid_at(units, TODAY, "province", province)
        assert unit["name_vi"] == name
        assert types(valid_at(units, TODAY, "commune", province)) == new_types

    def test_a_code_means_different_units_at_different_dates(self, units: list[Row]) -> None:
        for code, before, after in (("44", "Quảng Bình", "Quảng Trị"), ("80", "Long An", "Tây Ninh")):
            (old,) = valid_at([u for u in units if u["unit_code"] == code], BEFORE_REFORM)
            (new,) = valid_at([u for u in units if u["unit_code"] == code], REFORM)
            assert (old["name_vi"], new["name_vi"]) == (before, after)

    def test_the_key_is_unique_and_is_made_of_code_and_date(self, units: list[Row]) -> None:
        assert len({unit["unit_key"] for unit in units}) == len(units)
        assert all(unit["unit_key"] == f"{unit['unit_code']}@{unit['valid_from']}" for unit in units)

    def test_versions_of_a_code_do_not_overlap(self, units: list[Row]) -> None:
        versions: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for unit in units:
            versions[unit["unit_code"]].append((unit["valid_from"], unit["valid_to"] or "9999-12-31"))
        for code, spans in versions.items():
            spans.sort()
            assert all(start < end for start, end in spans), code
            assert all(first[1] <= second[0] for first, second in zip(spans, spans[1:], strict=False)), code

    def test_codes_are_zero_padded_text_of_the_level(self, units: list[Row]) -> None:
        length = {"province": 2, "district": 3, "commune": 5}
        assert all(u["unit_code"].isdecimal() and len(u["unit_code"]) == length[u["level"]] for u in units)

    def test_the_parent_exists_whenever_the_unit_is_valid(self, units: list[Row]) -> None:
        # Nothing changes between these days, so checking each of them checks every moment.
        days = sorted({unit["valid_from"] for unit in units} | {BEFORE_REFORM, TODAY})
        for day in days:
            valid = {unit["unit_code"]: unit for unit in valid_at(units, day)}
            for unit in valid.values():
                assert valid[unit["province_code"]]["level"] == "province", (day, unit["unit_key"])
                if unit["level"] == "province":
                    assert unit["parent_code"] == ""
                    continue
                parent = valid[unit["parent_code"]]
                is_old_commune = unit["level"] == "commune" and day < REFORM
                assert parent["level"] == ("district" if is_old_commune else "province"), (day, unit["unit_key"])
                assert parent["province_code"] == unit["province_code"], (day, unit["unit_key"])

    def test_names_are_clean_and_agree(self, units: list[Row]) -> None:
        for unit in units:
            full = unit["full_name_vi"]
            assert unicodedata.is_normalized("NFC", full)
            assert full == full.strip()
            assert "  " not in full
            assert "\u2019" not in full
            assert full == f"{unit['unit_type'].capitalize()} {unit['name_vi']}"
            assert unit["name_folded"].isascii()
            assert unit["name_folded"] == unit["name_folded"].lower()

    def test_only_a_known_start_is_called_known(self, units: list[Row]) -> None:
        assert all((u["valid_from_is_known"] == "false") == (u["valid_from"] == "1900-01-01") for u in units)


class TestMapping:
    def test_keys_point_at_units_on_either_side_of_the_reform(self, units: list[Row], moves: list[Row]) -> None:
        before = {unit["unit_key"]: unit for unit in valid_at(units, BEFORE_REFORM)}
        after = {unit["unit_key"]: unit for unit in valid_at(units, REFORM)}
        for move in moves:
            old, new = before[move["old_unit_key"]], after[move["new_unit_key"]]
            assert (old["unit_code"], old["level"], old["province_code"]) == (
                move["old_code"],
                move["old_level"],
                move["old_province_code"],
            )
            assert (new["unit_code"], new["level"], new["province_code"]) == (
                move["new_code"],
                move["new_level"],
                move["new_province_code"],
            )
            assert move["effective_date"] == REFORM

    def test_pairs_are_unique(self, moves: list[Row]) -> None:
        assert len({(move["old_unit_key"], move["new_unit_key"]) for move in moves}) == len(moves)

    def test_every_old_unit_has_a_target_and_every_new_one_a_source(self, units: list[Row], moves: list[Row]) -> None:
        mapped = {move["old_code"] for move in moves}
        fed = {move["new_code"] for move in moves}
        for level in ("province", "commune"):
            assert {unit["unit_code"] for unit in valid_at(units, BEFORE_REFORM, level)} <= mapped
            assert {unit["unit_code"] for unit in valid_at(units, REFORM, level)} <= fed

    def test_only_the_five_island_districts_map_as_districts(self, units: list[Row], moves: list[Row]) -> None:
        names = {unit["unit_key"]: unit["name_vi"] for unit in units}
        islands = {(names[m["old_unit_key"]], names[m["new_unit_key"]]) for m in moves if m["old_level"] == "district"}
        assert islands == {(name, name) for name in ("Bạch Long Vĩ", "Cồn Cỏ", "Hoàng Sa", "Lý Sơn", "Côn Đảo")}

    def test_counts_flags_and_the_single_default_agree(self, moves: list[Row]) -> None:
        targets = Counter(move["old_code"] for move in moves)
        sources = Counter(move["new_code"] for move in moves)
        defaults = Counter(move["old_code"] for move in moves if move["is_default"] == "true")
        assert set(defaults) == set(targets)
        assert set(defaults.values()) == {1}
        for move in moves:
            assert int(move["target_count"]) == targets[move["old_code"]]
            assert int(move["source_count"]) == sources[move["new_code"]]
            assert (move["is_split"] == "true") == (targets[move["old_code"]] > 1)

    def test_how_many_communes_were_split(self, moves: list[Row]) -> None:
        # The official table has 9,592/369/54/17/1 for 10,033 communes: docs/administrative-units.md names the
        # nine pairs that make the difference.
        targets = Counter(move["old_code"] for move in moves if move["old_level"] == "commune")
        assert Counter(targets.values()) == {1: 9_593, 2: 370, 3: 56, 4: 15, 5: 1}

    def test_no_unit_crosses_the_border_of_its_new_province(self, moves: list[Row]) -> None:
        provinces = {(m["old_province_code"], m["new_province_code"]) for m in moves if m["old_level"] == "province"}
        assert len(provinces) == 63
        assert {(m["old_province_code"], m["new_province_code"]) for m in moves} == provinces

    @pytest.mark.parametrize(
        ("province", "sources", "old_units", "new_units", "splits"),
        [
            ("44", {"44", "45"}, 265, 78, 0),
            ("48", {"48", "49"}, 281, 94, 1),
            ("80", {"80", "72"}, 280, 96, 22),
        ],
    )
    def test_the_demo_provinces(
        self, moves: list[Row], province: str, sources: set[str], old_units: int, new_units: int, splits: int
    ) -> None:
        rows = [m for m in moves if m["new_province_code"] == province and m["new_level"] == "commune"]
        assert {m["old_province_code"] for m in rows} == sources
        assert len({m["old_code"] for m in rows}) == old_units
        assert len({m["new_code"] for m in rows}) == new_units
        assert len({m["old_code"] for m in rows if m["is_split"] == "true"}) == splits


class TestScript:
    def test_a_rerun_gives_the_committed_bytes(self, tmp_path: Path) -> None:
        given = os.environ.get("PDIC_ADMINISTRATIVE_UNITS_WHEEL")
        try:
            wheel = Path(given) if given else script.fetch_wheel(tmp_path)
        except subprocess.CalledProcessError:
            pytest.skip("the wheel cannot be fetched here; give its path in PDIC_ADMINISTRATIVE_UNITS_WHEEL")
        files = script.render_all(script.build(script.read_wheel(wheel)))
        for name, text in files.items():
            assert text.encode() == (SEEDS / name).read_bytes(), f"{name}: run python scripts/administrative_units.py"

    def test_another_wheel_is_refused(self, tmp_path: Path) -> None:
        wheel = tmp_path / "other.whl"
        wheel.write_bytes(b"not the pinned wheel")
        with pytest.raises(script.SeedError, match="expected 737ee366"):
            script.read_wheel(wheel)

    @pytest.mark.parametrize(
        ("text", "folded"),
        [("Hòa", "hoa"), ("Hoà", "hoa"), ("Đăk R\u2019Lấp", "dak rlap"), ("Bà Rịa - Vũng Tàu", "ba ria vung tau")],
    )
    def test_folding(self, text: str, folded: str) -> None:
        assert script.fold(text) == folded
        assert script.fold(unicodedata.normalize("NFD", text)) == folded

    def test_the_name_gives_the_type(self) -> None:
        assert script.split_type("Thị trấn Ái Tử", "commune") == ("thị trấn", "Ái Tử")
        with pytest.raises(script.SeedError, match="add a NameRepair"):
            script.split_type("Thị Trấn Ái Tử", "commune")

    def test_a_code_that_lost_its_zero_is_refused(self) -> None:
        with pytest.raises(script.SeedError, match="expected 5 digits"):
            script.make_unit("commune", "4", "Phường Ba Đình", "01", "01", date(2025, 7, 1), None)

    def test_a_repair_of_another_name_is_refused(self) -> None:
        row: dict[str, Any] = {"province": "Tỉnh A", "provinceCode": "99", "ward": "Xã B", "wardCode": "99999"}
        repair = script.NameRepair("99999", "Xã C", "Xã D", "a test")
        with pytest.raises(script.SeedError, match="drop its NameRepair"):
            script.repair_names([row], [repair])

    def test_a_false_pair_must_name_the_true_source(self) -> None:
        pairs = {("1", "10"): True, ("1", "20"): False, ("2", "20"): True}
        names = {"1": "Phường 4", "2": "Phường 5"}
        with pytest.raises(script.SeedError, match="not the true source"):
            script.drop_false_pairs(pairs, [script.FalsePair("1", "20", "2")], names)
        with pytest.raises(script.SeedError, match="not in the crosswalk"):
            script.drop_false_pairs(pairs, [script.FalsePair("2", "10", "1")], names)

    def test_the_last_target_becomes_the_default(self) -> None:
        pairs = {("1", "10"): False, ("1", "20"): True, ("2", "20"): True}
        names = {"1": "Phú Tân", "2": "Phú Tân"}
        kept = script.drop_false_pairs(pairs, [script.FalsePair("1", "20", "2")], names)
        assert kept == {("1", "10"): True, ("2", "20"): True}

    def test_an_amendment_of_another_name_is_refused(self) -> None:
        unit = script.make_unit("province", "24", "Tỉnh Bắc Ninh", None, "24", date(2025, 7, 1), None)
        change = script.Amendment(date(2026, 9, 20), "24", "Tỉnh Bắc Giang", "Thành phố Bắc Ninh", "39/2026/QH16")
        with pytest.raises(script.SeedError, match="'Tỉnh Bắc Ninh', not 'Tỉnh Bắc Giang'"):
            script.amend([unit], [change])
