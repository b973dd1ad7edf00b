"""Profiles of others: what cannot be used is told by file and key, what can is written as this house writes it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo import form, profile
from demo.defects import texts
from demo.errors import DemoError
from pdic import settings

Data = dict[str, Any]


def put(path: str, value: Any) -> Callable[[Data], None]:
    def change(data: Data) -> None:
        at: Any = data
        *way, last = path.split(".")
        for step in way:
            at = at[step]
        at[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (put("defects.resent", -0.1), "defects.resent is -0.1: a rate lies between 0 and 0.5"),
        (put("defects.resent", 1.5), "defects.resent is 1.5: a rate"),
        (put("defects.resent", True), "defects.resent is True: a rate"),
        (put("defects.resent", "much"), "defects.resent is 'much': a rate"),
        (put("defects.resent", float("nan")), "defects.resent is nan: a rate"),
        (put("defects.typo", 0.1), "defects.typo: no such kind"),
        (put("defects", None), "defects is None"),
        (put("nams", {}), "nams: there is no such key"),
        (put("population.birthrate", 0.1), "population.birthrate: there is no such key"),
        (put("names.family", []), r"names.family is \[\]: it needs at least 1"),
        (put("names.male", [True, "An"]), "names.male.0 is True: it must be text"),
        (put("names.male", ["  "]), "names.male.0 is '  ': it may not be empty"),
        (put("names.male", "An"), "names.male is 'An': it must be a list"),
        (put("elsewhere", [46]), "elsewhere.0 is 46: it must be text"),
        (put("province.code", "80"), "province.code is '80'"),
        (put("elsewhere", ["000"]), "elsewhere.0 is '000'"),
        (put("names.male", ["An " * 20]), "names.male.0 is .* it may have 30 parts or characters"),
        (put("icd10", ["cúm"]), "icd10.0 is 'cúm'"),
        (put("as_of", "soon"), "as_of is 'soon'"),
        (put("drugs", [["1", "A", "viên", "VD"]]), "drugs.0.4: it is missing"),
        (put("services", [["1", "Khám", "13", 5.0]] * 4), "services is .* a bed"),
    ],
)
def test_a_profile_that_cannot_be_used_is_refused_by_file_and_key(
    tmp_path: Path, change: Callable[[Data], None], said: str
) -> None:
    data = yaml.safe_load(profile.DEFAULT.read_text(encoding="utf-8"))
    change(data)
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    with pytest.raises(DemoError, match=said) as raised:
        profile.load(path)
    assert str(raised.value).startswith(str(path))


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "must be a mapping"), (b"- a", "must be a mapping"), (b"a: [", "not valid YAML"), (b"a: \xe9", "not UTF-8")],
)
def test_a_file_that_is_no_profile_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(DemoError, match=said):
        profile.load(path)


def test_what_a_profile_leaves_out_is_as_in_the_default_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("defects: {resent: 0.3}\nnames: {family: [Hoà, ' Thuý ', 'Đặng']}\n", encoding="utf-8")
    found, usual = profile.load(path), profile.load()
    assert found.data["names"]["family"] == ["Hòa", "Thúy", "Đặng"]
    assert (found.rate("resent"), found.rate("nfd_text")) == (0.3, 0.0)
    assert found.data["names"]["male"] == usual.data["names"]["male"]
    assert found.digest != usual.digest


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("Hoà", "Hòa"),
        ("Thuý", "Thúy"),
        ("Uỷ", "Ủy"),
        ("Khuỷu", "Khuỷu"),
        ("Qúy", "Quý"),
        ("Huỳnh", "Huỳnh"),
        ("ð  x", "đ x"),
    ],
)
def test_texts_are_written_as_this_house_writes_them(value: str, wanted: str) -> None:
    assert form.as_written_here(value) == wanted


def test_the_demo_and_the_cleaning_know_the_same_family_names() -> None:
    functions = (settings.project_root() / "plugins/pdic/warehouse/functions/clean.sql").read_text(encoding="utf-8")
    listed = {
        name: {
            word.lower()
            for word in re.findall(r"'([^']+)'", functions.split(f"clean.{name}(word text)")[1].split("\nend;")[0])
        }
        for name in ("is_family_name", "is_frequent_family_name")
    }
    assert listed["is_family_name"] == texts.KNOWN_FAMILIES
    assert listed["is_frequent_family_name"] == texts.FREQUENT
    assert texts.UNMISTAKABLE | texts.FREQUENT < texts.KNOWN_FAMILIES
    assert not texts.NEVER_FAMILIES & texts.KNOWN_FAMILIES


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--profile", "none.yaml"], "no profile at none.yaml"),
        (["--citizens", "20"], "take 500 or more"),
        (["--defects", "-1"], "--defects -1"),
        (["--seed", "99999999999999999999"], "seed 99999999999999999999: take"),
    ],
)
def test_an_evaluation_that_cannot_be_made_says_so_and_ends_with_2(arguments: list[str], said: str) -> None:
    command = [sys.executable, "-m", "demo.evaluate", *arguments]
    done = subprocess.run(
        command, cwd=settings.project_root(), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
