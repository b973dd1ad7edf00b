"""What is kept of contracts that were read: never out of date, never in the way."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from pdic.contracts import ContractError, compile_all, kept, load_all, load_shared
from pdic.contracts import read as reading
from pdic.contracts.compile import outputs

OURS = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with all contracts of this one, and a home of its own."""
    monkeypatch.setenv("PDIC_HOME", str(tmp_path / "home"))
    shutil.copytree(OURS / "contracts", tmp_path / "contracts")
    compile_all(tmp_path)
    return tmp_path


def forbid_parsing(patch: pytest.MonkeyPatch) -> None:
    def parse(*_: object) -> None:
        raise AssertionError("a contract that has not changed was parsed again")

    reading._read_contract.cache_clear()
    patch.setattr(reading, "parse", parse)


def test_unchanged_contracts_are_not_parsed_again_and_are_the_same(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, shared, compiled = load_all(root), load_shared(root), outputs(root)
    forbid_parsing(monkeypatch)
    assert load_all(root) == before
    assert load_shared(root) == shared
    assert outputs(root) == compiled
    assert {type(code) for contract in before.values() for column in contract.columns for code in column.enum} == {
        type(code) for contract in load_all(root).values() for column in contract.columns for code in column.enum
    }


def test_only_the_contract_that_changed_is_parsed_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_all(root)
    path = root / "contracts" / "education" / "lop.odcs.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("version: 1.0.0", "version: 9.0.0"), encoding="utf-8")
    reading._read_contract.cache_clear()
    parsed: list[int] = []
    parse = reading.parse
    monkeypatch.setattr(reading, "parse", lambda content, findings: parsed.append(1) or parse(content, findings))  # type: ignore[func-returns-value]
    assert load_all(root)["education", "lop"].version == "9.0.0"
    assert parsed == [1]


def test_a_change_of_the_same_size_at_the_same_moment_is_seen(root: Path) -> None:
    path = root / "contracts" / "education" / "lop.odcs.yaml"
    stamp, text = path.stat(), path.read_text(encoding="utf-8")
    before = load_all(root)["education", "lop"]
    assert reading.get("education", "lop", root) == before
    path.write_text(text.replace("version: 1.", "version: 7."), encoding="utf-8")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert path.stat().st_size == stamp.st_size
    assert load_all(root)["education", "lop"].version == "7" + before.version[1:]
    assert reading.get("education", "lop", root).version == "7" + before.version[1:]
    generated = "expectations/shape/education/lop.yaml"
    assert generated not in {difference.path.as_posix() for difference in compile_all(root, check=True)}
    assert "dbt_project/models/staging/education/_education__sources.yml" in {
        difference.path.as_posix() for difference in compile_all(root, check=True)
    }


def test_a_contract_that_is_wrong_is_wrong_every_time(root: Path) -> None:
    path = root / "contracts" / "education" / "lop.odcs.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("capture: ", "capture: never # "), encoding="utf-8")
    path.write_text(path.read_text(encoding="utf-8").replace("version: 1.", "version: one."), encoding="utf-8")
    messages = []
    for _ in range(2):
        with pytest.raises(ContractError) as error:
            load_all(root)
        messages.append(str(error.value))
    assert messages[0] == messages[1]
    assert "lop.odcs.yaml" in messages[0]


@pytest.mark.parametrize("broken", ["garbage", "folder"])
def test_a_file_that_cannot_be_used_costs_time_and_nothing_else(root: Path, broken: str) -> None:
    before, compiled = load_all(root), outputs(root)
    file = root / "home" / kept.FILE
    assert file.stat().st_size > 0
    file.unlink()
    if broken == "garbage":
        file.write_bytes(b"no database" * 1000)
    else:
        file.mkdir()
    assert load_all(root) == before
    assert outputs(root) == compiled


def test_the_code_that_works_a_result_out_is_part_of_its_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    before = kept.digest("Contract", Path("contracts/a/b.odcs.yaml"), b"text")
    assert kept.digest("Contract", Path("contracts/a/b.odcs.yaml"), b"text") == before
    assert kept.digest("Contract", Path("contracts/a/c.odcs.yaml"), b"text") != before
    assert kept.digest("parts", Path("contracts/a/b.odcs.yaml"), b"text") != before
    monkeypatch.setattr(kept, "_CODE", kept._CODE[1:])
    kept._code.cache_clear()
    try:
        assert kept.digest("Contract", Path("contracts/a/b.odcs.yaml"), b"text") != before
    finally:
        kept._code.cache_clear()


def test_what_is_kept_does_not_grow_for_ever(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST", 10)
    with kept.opened() as results:
        for number in range(30):
            results.put(f"{number:064d}", "text")
    with kept.opened() as results:
        assert results.get(f"{0:064d}") is None
        assert results.get(f"{29:064d}") == "text"
