"""Files that others read are whole at any moment, and what a killed process left is cleared by the next run."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from pdic import settings, whole_files
from pdic.contracts.compile import compile_all, compiled
from pdic.errors import PdicError
from pdic.onboard.files import write_all
from pdic.release import code
from tests.faults import killing
from tests.integration.sectors import write_contract

MODEL = Path("dbt_project", "models", "staging", "thu", "stg_thu__b.sql")


def tree(root: Path) -> dict[Path, bytes]:
    """Every file of a folder, hidden ones included."""
    return {path.relative_to(root): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one dataset."""
    root = tmp_path / "project"
    root.mkdir()
    write_contract(root, "thu", "a")
    compile_all(root)
    return root


@pytest.fixture
def draft(tmp_path: Path) -> dict[Path, str]:
    """Two contracts and a model that are to be taken on."""
    aside = tmp_path / "draft"
    for dataset in ("b", "c"):
        write_contract(aside, "thu", dataset)
    contracts = {path.relative_to(aside): path.read_text(encoding="utf-8") for path in aside.rglob("*.odcs.yaml")}
    return {**contracts, MODEL: "select 1\n"}


@pytest.fixture(autouse=True)
def steps_of_writing_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step is the entry to, or the exit from, a function that writes."""
    monkeypatch.setattr(killing, "PACKAGE", whole_files.__file__)


def at_every_step(root: Path, action: Callable[[Path], object]) -> list[Path]:
    """Copies of a project in which the action was killed, at one step after the other; `whole` is where it was not."""
    found = []
    for step in itertools.count(1):
        copy = root.with_name(f"killed-{step}")
        shutil.copytree(root, copy)
        if not killing.killed_at(step, partial(action, copy)):
            copy.rename(root.with_name("whole"))
            return found
        found.append(copy)
    raise AssertionError


def test_a_draft_goes_in_whole_or_not_at_all(project: Path, draft: dict[Path, str]) -> None:
    before = tree(project)
    killed = at_every_step(project, lambda root: write_all(root, draft))
    after = tree(project.with_name("whole"))
    assert after.keys() > before.keys() | draft.keys()
    outcomes = set()
    for root in killed:
        assert compiled(root).problems == ()  # what is left there disturbs nobody
        whole_files.finish(root)
        found = tree(root)
        assert found in (before, after)
        outcomes.add(found == after)
        assert [path for path in root.rglob("*") if path.is_dir() and not any(path.iterdir())] == []
        write_all(root, draft)
        assert tree(root) == after
    assert outcomes == {True, False}


def test_a_draft_that_cannot_be_written_leaves_nothing(project: Path, draft: dict[Path, str]) -> None:
    in_the_way = project / "dbt_project" / "models" / "a_file"
    in_the_way.write_text("no folder", encoding="utf-8")
    before = tree(project)
    with pytest.raises(
        PdicError, match=r"^dbt_project/models/a_file/b.sql cannot be written \(File exists\). Nothing was changed: "
    ):
        whole_files.write_together(project, {**draft, in_the_way.relative_to(project) / "b.sql": ""})
    assert tree(project) == before
    assert not (project / MODEL).exists()


def test_a_folder_in_the_place_of_a_file_is_told_before_anything_is_changed(
    project: Path, draft: dict[Path, str]
) -> None:
    (project / MODEL).mkdir(parents=True)
    before = tree(project)
    with pytest.raises(PdicError, match=rf"^{MODEL} cannot be written \(Is a directory\). Nothing was changed: "):
        whole_files.write_together(project, draft)
    assert tree(project) == before


def test_what_cannot_be_put_in_its_place_is_named_and_comes_with_the_next_run(
    project: Path, draft: dict[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that may not be replaced: one can know that only once the others are."""

    def replace(path: Path, target: Path) -> Path:
        if target == project / MODEL:
            raise PermissionError(1, "Operation not permitted")
        return rename(path, target)

    rename = Path.replace
    with monkeypatch.context() as patch, pytest.raises(PdicError, match=rf"^{MODEL} cannot be written \(Operation not"):
        patch.setattr(Path, "replace", replace)
        whole_files.write_together(project, draft)
    whole_files.finish(project)
    assert {path: (project / path).read_text(encoding="utf-8") for path in draft} == draft


def test_what_a_killed_process_left_is_no_change_of_the_code(project: Path) -> None:
    model = project / MODEL
    model.parent.mkdir(parents=True, exist_ok=True)
    model.write_text("select 1", encoding="utf-8")
    before = code.digest(project, ("dbt_project/models",))
    model.with_name(f".{model.name}.new").write_text("sel", encoding="utf-8")
    assert code.digest(project, ("dbt_project/models",)) == before


def test_a_generated_file_is_the_old_or_the_new_one(project: Path) -> None:
    old = tree(project)
    write_contract(project, "thu", "a", type_="integer")
    killed = at_every_step(project, compile_all)
    new = tree(project.with_name("whole"))
    for root in killed:
        for path, content in tree(root).items():
            if not path.name.startswith("."):
                assert content in (old.get(path), new[path]), path
        compile_all(root)
        assert tree(root) == new


def test_a_secret_is_there_or_not(tmp_path: Path) -> None:
    root = tmp_path / "home"
    root.mkdir()
    for copy in at_every_step(root, lambda home: settings.write_private(home / "key", "secret text")):
        found = copy / "key"
        assert not found.exists() or found.read_text(encoding="utf-8") == "secret text"
        settings.write_private(copy / "key", "secret text")
        assert tree(copy) == {Path("key"): b"secret text"}


def test_what_an_earlier_version_left_is_no_contract_and_is_cleared(project: Path) -> None:
    left = project / "contracts" / "thu" / ".pdic-x1y2z3"
    left.write_text("half a contr", encoding="utf-8")
    assert compiled(project).problems == ()
    compile_all(project)
    assert not left.exists()
