"""Messages lead to what a person may change (a contract, a model, a rule file, a seed), never to a file that follows from it."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pdic import connections, quality, raw, settings
from pdic.contracts import ContractError, compile_all
from pdic.errors import DiskFull, DriftError, ReleaseError
from pdic.quality.rules import RuleError, load_rules, rules_for_batch, rules_for_release
from pdic.release import dbt, views
from pdic.release.dbt_words import WITHHELD, of_message
from pdic.warehouse import transaction
from tests.conftest import Postgres
from tests.integration.sectors import SNAPSHOT, Sector, own_sector

GENERATED = re.compile(r"generated/|expectations/shape|macros/cleaned|__sources\.yml|target/|compiled code")
CHECKOUT = Path(__file__).parents[2]
PLANTED = "Nguyễn Thị Kín Đáo"


def leads_to(message: str, *owned: str) -> None:
    """The message names what a person owns and no generated file, in one piece without a traceback."""
    assert not GENERATED.search(message), message
    assert "Traceback" not in message
    assert PLANTED not in message
    for each in owned:
        assert each in message, message


@pytest.fixture(scope="module")
def sector(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sector]:
    with own_sector("loinhan", postgres, tmp_path_factory.mktemp("project")) as made:
        yield made


def contract(sector: Sector, name: str) -> str:
    return f"contracts/{sector.name}/{name}.odcs.yaml"


class TestContracts:
    """What follows from a contract is missing, edited or held against it."""

    def test_a_rule_that_holds_a_batch(self, sector: Sector) -> None:
        sector.add("trung", capture=SNAPSHOT, required=False)
        text = sector.root / "expectations" / "batch" / sector.name / "trung.yaml"
        text.parent.mkdir(parents=True)
        text.write_text(
            """
rules:
  - id: trung.id.small
    type: pdic_expect_row_condition
    kwargs: {columns: [id], condition: id < 2}
    severity: critical
    dimension: consistency
    on_fail: halt
    reason: {vi: Quá lớn, en: Too large}
    origin: text
    source: 'assumption: small'
""",
            encoding="utf-8",
        )
        sector.source("insert into trung values (1, 'a'), (2, 'b')")
        report = sector.load("trung")
        assert report["status"] == "rejected"
        leads_to(report["message"], "trung.id.small", f"correct the rule (expectations/batch/{sector.name}/trung.yaml)")

    def test_a_shape_rule_that_holds_a_batch(self, sector: Sector) -> None:
        sector.add("khoa", capture=SNAPSHOT)
        (rule,) = [
            found for found in rules_for_batch(sector.root, sector.name, "khoa") if found.id == "khoa._key.unique"
        ]
        failing = quality.RuleResult(rule, False, 3, 2)
        leads_to(
            quality.batch.message_of("loinhan.khoa batch 1", [failing], [failing], 3),
            f"correct the rule ({contract(sector, 'khoa')}: id)",
        )

    def test_drift(self, sector: Sector) -> None:
        sector.add("lech", capture=SNAPSHOT)
        sector.source('alter table lech drop column "Nhãn X"')
        with pytest.raises(DriftError) as raised:
            sector.extract("lech")
        leads_to(str(raised.value), f"{sector.name}.lech", "Nhãn X", f"pdic onboard --update {sector.name}.lech")

    def test_rules_that_were_never_compiled(self, sector: Sector) -> None:
        sector.add("thieu", capture=SNAPSHOT)
        shape = sector.root / "expectations" / "shape" / sector.name / "thieu.yaml"
        shape.unlink()
        with pytest.raises(RuleError) as raised:
            rules_for_batch(sector.root, sector.name, "thieu")
        leads_to(str(raised.value), contract(sector, "thieu"), "`pdic contracts compile`")
        shape.write_text("rules: [{id: x}]", encoding="utf-8")
        with pytest.raises(RuleError) as raised:
            rules_for_batch(sector.root, sector.name, "thieu")
        leads_to(str(raised.value), contract(sector, "thieu"), "`pdic contracts compile`")
        compile_all(sector.root)

    def test_a_rule_of_ones_own_with_the_name_of_a_contracts(self, sector: Sector) -> None:
        sector.add("hai", capture=SNAPSHOT)
        shape = sector.root / "expectations" / "shape" / sector.name / "hai.yaml"
        own = sector.root / "expectations" / "batch" / sector.name / "hai.yaml"
        own.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(shape, own)
        with pytest.raises(RuleError) as raised:
            load_rules([shape, own])
        own.unlink()
        leads_to(str(raised.value), "expectations/batch", contract(sector, "hai"), "give this one another id")

    def test_a_raw_table_that_was_never_compiled(self, sector: Sector) -> None:
        sector.add("bang", capture=SNAPSHOT)
        (sector.root / f"plugins/pdic/generated/raw/{sector.name}__bang.sql").unlink()
        from pdic import contracts

        with (
            pytest.raises(ContractError) as raised,
            transaction(connections.warehouse("loader"), "test") as loader,
        ):
            raw.ensure_tables(loader, contracts.get(sector.name, "bang"))
        leads_to(str(raised.value), contract(sector, "bang"), "`pdic contracts compile`")
        compile_all(sector.root)

    def test_readers_views_that_were_never_compiled(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(settings, "project_root", lambda: tmp_path)
        with pytest.raises(ContractError) as raised:
            views.views()
        leads_to(str(raised.value), "contracts/shared", "`pdic contracts compile`")
        with pytest.raises(RuleError) as nothing:
            rules_for_release(tmp_path, "fct_birth")
        leads_to(str(nothing.value), "contracts/shared/fct_birth.odcs.yaml", "`pdic contracts compile`")

    def test_what_differs_from_a_contract(self, sector: Sector) -> None:
        sector.add("khac", capture=SNAPSHOT)
        edited = [
            sector.root / f"plugins/pdic/generated/raw/{sector.name}__khac.sql",
            sector.root / f"expectations/shape/{sector.name}/khac.yaml",
            sector.root / f"dbt_project/macros/cleaned/{sector.name}.sql",
        ]
        for path in edited:
            path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        found = [str(difference) for difference in compile_all(sector.root, check=True)]
        assert len(found) == len(edited)
        for said in found:
            leads_to(said, f"contracts/{sector.name}/")
        assert sorted(re.findall(r"\((.*?)\)", " ".join(found))) == ["cleaning", "raw table", "shape rules"]
        compile_all(sector.root)

    def test_a_kind_of_cleaning_that_is_not_there(self, sector: Sector) -> None:
        sector.add("sach", capture=SNAPSHOT)
        path = sector.root / contract(sector, "sach")
        text = path.read_text(encoding="utf-8")
        broken = text.replace(
            "customProperties: [{property: descriptionEn, value: Key}]",
            "customProperties: [{property: descriptionEn, value: Key}, {property: cleaning, value: polish}]",
        )
        assert broken != text
        path.write_text(broken, encoding="utf-8")
        with pytest.raises(ContractError) as raised:
            compile_all(sector.root)
        path.write_text(text, encoding="utf-8")
        leads_to(str(raised.value), contract(sector, "sach"), "polish")


PROJECT = {
    "dbt_project.yml": "name: pdic\nversion: '1.0'\nprofile: pdic\nmodel-paths: [models]\n"
    "models: {+materialized: table}\nflags: {send_anonymous_usage_stats: false}\n",
    "models/core/fct_bad_column.sql": "select no_such_column from (select 1 as a) as t\n",
    "models/core/fct_bad_value.sql": "select label::integer as label from {{ source('raw_health', 'health__xml2') }}\n",
    "models/core/fct_not_cleaned.sql": "{% set found = context['cleaned__health__xml9']() if execute else 1 %}select 1 as a\n",
    "models/core/fct_twice.sql": "select 1 as a union all select 1\n",
    "models/core/_core__models.yml": "version: 2\nmodels:\n  - name: fct_twice\n    columns: [{name: a, data_tests: [unique]}]\n",
    "models/staging/health/_health__sources.yml": "version: 2\nsources:\n  - name: raw_health\n    schema: raw\n    tables:\n"
    "      - name: health__xml1\n        columns: [{name: id, data_tests: [unique]}]\n      - name: health__xml2\n",
}


class TestRelease:
    """A release whose models or tests fail, in a small dbt project of its own."""

    @pytest.fixture
    def uri(self, postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        for name, text in PROJECT.items():
            path = tmp_path / "dbt_project" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        shutil.copy(CHECKOUT / "dbt_project" / "profiles.yml", tmp_path / "dbt_project" / "profiles.yml")
        name = re.sub(r"\W", "_", tmp_path.name.lower())[:40]
        uri = postgres.create_database(name)
        with psycopg.connect(uri) as connection:
            connection.execute(
                "create schema raw; create schema candidate; create table raw.health__xml1 (id int, label text)"
            )
            connection.execute("create table raw.health__xml2 as select 1 as id, %s::text as label", [PLANTED])
            connection.execute("insert into raw.health__xml1 values (1, %s), (1, %s)", [PLANTED, PLANTED])
        monkeypatch.setattr(settings, "project_root", lambda: tmp_path)
        monkeypatch.setattr(settings, "home", lambda: tmp_path / "home")
        settings.secret("identity_key", create=True)
        return uri

    def test_each_failure_names_the_file_that_a_person_owns(self, uri: str) -> None:
        with pytest.raises(ReleaseError) as raised:
            dbt.build(uri)
        message = str(raised.value)
        leads_to(
            message,
            'dbt_project/models/core/fct_bad_column.sql: column "no_such_column" does not exist',
            f"dbt_project/models/core/fct_bad_value.sql: {WITHHELD}",
            "dbt_project/models/core/fct_not_cleaned.sql: the cleaning of contracts/health/xml9.odcs.yaml",
            "dbt_project/models/core/fct_twice.sql: 1 row breaks the test unique_fct_twice_a",
            "contracts/health/xml1.odcs.yaml: 1 row breaks the test source_unique_raw_health_health__xml1_id",
            "then run `pdic release` again",
        )
        assert "\n" not in message

    def test_a_model_that_cannot_be_read(self, uri: str, tmp_path: Path) -> None:
        (tmp_path / "dbt_project/models/core/fct_unread.sql").write_text("select {{ nothing_like_it() }} as a\n")
        with pytest.raises(ReleaseError) as raised:
            dbt.build(uri)
        leads_to(str(raised.value), "dbt_project/models/core/fct_unread.sql: ", "'nothing_like_it' is undefined")

    def test_a_full_disk_is_no_fault_of_a_model(self, uri: str, tmp_path: Path) -> None:
        said = 'could not extend file "base/16391/16974": No space left on device'
        with psycopg.connect(uri) as owner:
            owner.execute(
                f"create function public.no_room() returns integer language plpgsql as $$ begin raise exception '{said}'"  # type: ignore[arg-type]
                " using errcode = '53100', hint = 'Check free disk space.'; end $$"
            )
        (tmp_path / "dbt_project/models/core/fct_no_room.sql").write_text("select public.no_room() as a\n")
        with pytest.raises(DiskFull) as raised:
            dbt.build(uri)
        leads_to(
            str(raised.value),
            "the disk of the warehouse's server is full",
            "base/16391/16974",
            "make room on that disk",
        )
        assert not (tmp_path / "home" / "dbt" / "target" / "run_results.json").exists()


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (f'Database Error in model m (models/m.sql)\n  invalid input syntax for type integer: "{PLANTED}"', WITHHELD),
        (f'Database Error in model m (models/m.sql)\n  date/time field value out of range: "{PLANTED}"', WITHHELD),
        (
            f'Database Error in model m (models/m.sql)\n  invalid input syntax for type date: "{PLANTED}, insufficient"',
            WITHHELD,
        ),
        (f'Database Error in model m (models/m.sql)\n  value "{PLANTED}: out of memory" is out of range', WITHHELD),
        (
            f'Database Error in model m (models/m.sql)\n  duplicate key value violates unique constraint "k"\n  '
            f"DETAIL:  Key (a)=({PLANTED})",
            'duplicate key value violates unique constraint "k"',
        ),
        (
            "Database Error in model m (models/m.sql)\n  canceling statement due to statement timeout\n  compiled code at target/run/m.sql",
            "canceling statement due to statement timeout",
        ),
    ],
)
def test_what_a_database_says_is_shown_only_where_it_holds_no_value(said: str, shown: str) -> None:
    assert of_message(said) == shown


WRITERS = ("compile", "compiled", "dbt_cleaning", "dbt_sources", "output", "raw_tables", "shape_rules", "shared_views")
"""The modules of `contracts` that write generated files, and so say where they lie."""


def test_no_message_in_the_code_names_a_generated_file() -> None:
    """Every sentence of the package that is no docstring; paths without a blank are not sentences."""
    root = Path(raw.__file__).parent
    writers = {root / "contracts" / f"{name}.py" for name in WRITERS} | {root / "release" / "dbt_words.py"}
    found = []
    for path in sorted(root.rglob("*.py")):
        if path in writers or "generated" in path.relative_to(root).parts:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                sentence = " " in node.value and GENERATED.search(node.value)
                found += [f"{path.name}:{node.lineno}: {node.value}"] if sentence else []
    assert found == []
