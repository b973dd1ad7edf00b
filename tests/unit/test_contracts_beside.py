"""A contract that cannot be used holds up nobody else: its neighbour is shared, and what was compiled of it before stays."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pdic import settings
from pdic.contracts import ContractError, compile_all
from pdic.onboard.review import review, unseen
from pdic.onboard.share import model_path, share
from pdic.onboard.written import written_models

SAME_SECTOR = Path("contracts/health/giay_bao_tu.odcs.yaml")
OTHER_SECTOR = Path("contracts/education/hocsinh.odcs.yaml")
SHARED = Path("contracts/shared/fct_death.odcs.yaml")
OURS = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all: what was worked out of a contract once is kept there."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def root(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of our contracts and of what was compiled from them."""
    for part in ("contracts", "expectations", "dbt_project/models", "dbt_project/macros", "plugins/pdic/generated"):
        shutil.copytree(OURS / part, tmp_path / part)
    monkeypatch.setenv("PDIC_ROOT", str(tmp_path))
    monkeypatch.setenv("PDIC_HOME", str(home))
    assert settings.project_root() == tmp_path
    return tmp_path


def merge_conflict(path: Path) -> None:
    path.write_text(f"<<<<<<< HEAD\n{path.read_text()}=======\n>>>>>>> theirs\n")


def unknown_capture(path: Path) -> None:
    path.write_text(path.read_text().replace("property: capture", "property: catpure", 1))


def other_agency(path: Path) -> None:
    text = path.read_text()
    assert "Sở Y tế" in text
    path.write_text(text.replace("Sở Y tế", "Sở Tài chính"))


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("/nowhere/at/all")


def other_bytes(path: Path) -> None:
    path.write_bytes(path.read_text().encode("utf-16"))


@pytest.mark.parametrize(
    ("path", "spoil"),
    [
        (SAME_SECTOR, merge_conflict),
        (OTHER_SECTOR, merge_conflict),
        (SAME_SECTOR, unknown_capture),
        (SAME_SECTOR, other_agency),
        (SAME_SECTOR, dangling),
        (OTHER_SECTOR, other_bytes),
        (SHARED, merge_conflict),
        (SHARED, other_bytes),
    ],
)
def test_a_table_is_shared_beside_a_contract_that_cannot_be_used(
    root: Path, path: Path, spoil: Callable[[Path], None]
) -> None:
    right = (root / path).read_bytes()
    spoil(root / path)
    report = share("health", "co_so_kcb")
    assert report["table"] == "mart_health__co_so_kcb"
    (warning,) = report["warnings"]
    assert warning.startswith(f"{path}: ")
    assert "stays as it is" in warning
    assert not {part for part in report["written"] if path.name.partition(".")[0] in part}
    with pytest.raises(ContractError, match=path.name):  # whoever compiles everything hears of it
        compile_all(root, check=True)
    # Nothing of it was lost: as soon as it is right again, all that follows from it is there.
    (root / path).unlink()
    (root / path).write_bytes(right)
    assert compile_all(root, check=True) == []


def test_a_sector_none_of_whose_contracts_can_be_used_stays_as_it_is(root: Path) -> None:
    files = sorted((root / "contracts" / "civil_registry").glob("*.yaml"))
    right = {path: path.read_bytes() for path in files}
    for path in files:
        merge_conflict(path)
    assert len(share("health", "co_so_kcb")["warnings"]) == len(files)
    for path, content in right.items():
        path.write_bytes(content)
    assert compile_all(root, check=True) == []


def test_a_file_out_of_place_is_a_warning_too(root: Path) -> None:
    stray = root / "contracts" / "health" / "notes.txt"
    stray.write_text("to be asked: …")
    assert [warning.split(":")[0] for warning in share("health", "co_so_kcb")["warnings"]] == [
        "contracts/health/notes.txt"
    ]
    stray.unlink()
    assert compile_all(root, check=True) == []


def test_a_contract_that_was_never_compiled_and_cannot_be_used_is_not_there(root: Path) -> None:
    """Nothing stands of it, so nothing is made up: no DAG task, no source, no macro."""
    new = root / "contracts" / "health" / "new_one.odcs.yaml"
    new.write_text("id: health.new_one\nschema: [")
    share("health", "co_so_kcb")
    catalogue = (root / "plugins/pdic/generated/catalogue.py").read_text()
    assert '"new_one"' not in catalogue and '"giay_bao_tu"' in catalogue
    new.unlink()
    assert compile_all(root, check=True) == []


def test_the_contract_that_is_asked_for_still_has_to_be_right(root: Path) -> None:
    merge_conflict(root / "contracts" / "health" / "co_so_kcb.odcs.yaml")
    before = (root / "plugins/pdic/generated/catalogue.py").read_bytes()
    with pytest.raises(ContractError, match="co_so_kcb"):
        share("health", "co_so_kcb")
    assert (root / "plugins/pdic/generated/catalogue.py").read_bytes() == before


def test_review_goes_on_and_says_what_it_left_out(root: Path) -> None:
    merge_conflict(root / SAME_SECTOR)
    review(root)
    (left_out,) = unseen(root)
    assert left_out.startswith(f"{SAME_SECTOR}: ")
    assert unseen(root, "education") == []


def test_lint_reads_a_shared_model_once_a_person_has_changed_it(root: Path) -> None:
    share("health", "co_so_kcb")
    model = model_path("health", "mart_health__co_so_kcb")
    text = (root / model).read_text()
    assert model not in written_models(root)
    for changed in (text + "-- mine\n", text.replace("from", "FROM"), text.partition("\n")[2]):
        (root / model).write_text(changed)
        assert model in written_models(root)
    (root / model).write_text(text)
    (root / "contracts/shared/mart_health__co_so_kcb.odcs.yaml").unlink()
    assert model in written_models(root)
