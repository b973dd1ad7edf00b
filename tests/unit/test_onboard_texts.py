"""What is drafted and compiled holds a source's words as they are: nothing of them is run, and the linter finds nothing."""

from __future__ import annotations

import ast
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from sqlfluff.core import FluffConfig, Linter

from pdic.contracts import Contract, compile_all, load_all, templates, yaml_text
from pdic.contracts.dbt_cleaning import cleaning_macros
from pdic.contracts.reserved import BETTER_QUOTED
from pdic.onboard import draft as drafts
from pdic.onboard.edit import ContractText
from pdic.onboard.guess import guess_contract
from pdic.onboard.introspect import TableFacts
from pdic.onboard.names import RESERVED
from pdic.onboard.share import model_text
from pdic.onboard.written import written_models
from pdic.quality.rules import rules_for_batch
from pdic.sources.catalogue import SourceColumn, SourceTable
from tests.conftest import put

OURS = Path(__file__).parents[2]
SECTOR = "wild"
PIECES = (
    *(
        "{{ 7 * 7 }}",
        "{% raise %}",
        "{# ",
        " #}",
        "}}",
        "%}",
        "{{",
        "{%",
        "{%- endraw -%}",
        "{% endraw %}",
        "{% enddocs %}",
    ),
    *(
        "{% docs x %}",
        "{{ doc('x') }}",
        "{{ env_var('HOME') }}",
        "{{ 1 / 0 }}",
        "{1:{2:3}}",
        "{{1}}",
        "''",
        "'",
        '"',
        '""',
    ),
    *(
        "\\",
        "\\n",
        "\\'",
        "\n",
        "\r",
        "\t",
        "\x01",
        "\x1b",
        "\x7f",
        "\x85",
        "\u2028",
        "\u202e",
        "\u200b",
        "\ufeff",
        "\U0001f600",
    ),
    *(
        "*/",
        "/*",
        "--",
        ";",
        "-- noqa",
        "%(x)s",
        "%s",
        "%%",
        "$(id)",
        "`id`",
        "${HOME}",
        "$ddl$",
        "$$",
        "[/red]",
        "[bold]",
    ),
    *(
        ": ",
        " #",
        "!!python/object/apply:os.system",
        "&a",
        "*a",
        "- ",
        "? ",
        "| ",
        "> ",
        "yes",
        "null",
        "~",
        "1e3",
        "0x1f",
        "08",
    ),
    *("None", "True", "(1, 2)"),
    *("ngày cấp", "Đ", "a", "B", "1", "_", " ", ".", ",", "|", "<b>", "&amp;", "\u0301"),
)
ORDINARY = (
    *(
        "timestamp",
        "position",
        "Comment",
        "comment",
        "order",
        "user",
        "type",
        "date",
        "name",
        "value",
        "Values",
        "select",
        "from",
    ),
    *(
        "interval",
        "row",
        "char",
        "ngày cấp",
        "Họ và tên",
        "First Name",
        "UnitPrice",
        "unit_price",
        "ID",
        "id2",
        "2nd",
        "level",
    ),
    *(
        "language",
        "method",
        "owner",
        "password",
        "role",
        "schema",
        "share",
        "status",
        "text",
        "time",
        "year",
        "zone",
        "key",
        "data",
    ),
    *(
        "Order Details",
        "đơn vị tính",
        "national",
        "none",
        "natural",
        "left",
        "coalesce",
        "exists",
        "array",
        "default",
        "desc",
    ),
    *sorted(RESERVED | BETTER_QUOTED)[::7],
)


def words(chosen: random.Random, bytes_: int) -> str:
    """A name or comment of hostile pieces, as PostgreSQL would hold it."""
    text = "".join(chosen.choices(PIECES, k=chosen.randint(1, 6)))
    while len(text.encode()) > bytes_:
        text = text[:-1]
    return text or "x"


def facts(chosen: random.Random, number: int, names: list[str] | None = None) -> TableFacts:
    """A table whose every word is hostile, or one with these column names."""
    names = names or list({words(chosen, 63): None for _ in range(chosen.randint(2, 12))})
    columns = tuple(
        SourceColumn(
            name,
            "text",
            "text",
            cast=False,
            not_null=place == 0,
            labels=tuple({words(chosen, 63): None for _ in range(3)}) if place == 1 else (),
            comment=words(chosen, 2000) if chosen.random() < 0.7 else None,
        )
        for place, name in enumerate(names)
    )
    table = SourceTable("table", columns, tuple(names[:1]), words(chosen, 2000) if number % 3 else None)
    return TableFacts(words(chosen, 63), f"{words(chosen, 40)}{number}", table, empty=False)


@dataclass(frozen=True)
class Wild:
    """A project of drafted datasets, and the facts that each came from."""

    root: Path
    facts: dict[str, TableFacts]

    @property
    def contracts(self) -> list[Contract]:
        return list(load_all(self.root).values())


def project(root: Path, drafted: dict[str, TableFacts]) -> Wild:
    """A project as `pdic onboard` writes it, with a column of each dataset cleaned."""
    for part in ("dbt_project/macros", "dbt_project/tests/generic"):
        shutil.copytree(OURS / part, root / part, ignore=shutil.ignore_patterns("cleaned"))
    for part in ("dbt_project/dbt_project.yml", "dbt_project/profiles.yml"):
        shutil.copy(OURS / part, root / part)
    for dataset, found in drafted.items():
        draft = guess_contract(found, SECTOR, dataset)
        text = ContractText(drafts.contract_text(draft, "Sở {{ 1 / 0 }} \u202e\"'\\", "pdic_source_wild"))
        for column in draft.columns[-1:]:
            text.set_custom(column.source.name, "cleaning", "words")
        put(root / drafts.contract_path(draft), text.text)
    compile_all(root)
    contracts = list(load_all(root).values())
    for contract in contracts:
        put(root / drafts.staging_path(contract), drafts.staging_text(contract))
    entries = {f"stg_{contract.raw_table}": drafts.staging_entry(contract) for contract in contracts}
    put(root / drafts.models_path(contracts[0]), drafts.with_model_entries("", entries))
    return Wild(root, drafted)


@pytest.fixture(scope="module")
def wild(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wild]:
    root = tmp_path_factory.mktemp("wild")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PDIC_HOME", str(root / "home"))
        yield project(root, {f"d{n}": facts(random.Random(n), n) for n in range(150)})  # noqa: S311


def test_contracts_and_rules_hold_every_word(wild: Wild) -> None:
    for contract in wild.contracts:
        found = wild.facts[contract.dataset]
        assert (contract.table_schema, contract.table_name) == (found.schema, found.name)
        assert [column.source_name for column in contract.columns] == [column.name for column in found.table.columns]
        for column, source in zip(contract.columns, found.table.columns, strict=True):
            assert column.enum == source.labels
        rules = yaml_text.load(
            (wild.root / "expectations/shape" / SECTOR / f"{contract.dataset}.yaml").read_bytes().decode()
        )["rules"]
        named = {rule["kwargs"]["column"] for rule in rules if "column" in rule["kwargs"]}
        assert named <= {column.name for column in found.table.columns}
        assert found.table.key[0] in named
        assert len(rules_for_batch(wild.root, SECTOR, contract.dataset)) == len(rules)
        sets = [rule["kwargs"]["value_set"] for rule in rules if rule["type"] == "expect_column_values_to_be_in_set"]
        assert sets == ([list(found.table.columns[1].labels)] if found.table.columns[1].labels else [])


@pytest.mark.parametrize(
    "names",
    [
        ["\t", "\n", "   ", "\u00a0"],
        ["a\nb", "a b", "a,b", "a_b", "a{b"],
        ["_key", "_table", "a_key", "a key"],
    ],
)
def test_rules_can_be_read_whatever_the_columns_are_called(tmp_path: Path, names: list[str]) -> None:
    columns = tuple(SourceColumn(name, "text", "text", cast=False, not_null=True) for name in names)
    found = TableFacts("public", "t", SourceTable("table", columns, (names[0],), None), empty=False)
    contract = guess_contract(found, SECTOR, "t")
    text = ContractText(drafts.contract_text(contract, "Sở", "pdic_source_wild"))
    for name in names[1:]:
        text.set_field(name, "unique", True)
    put(tmp_path / drafts.contract_path(contract), text.text)
    compile_all(tmp_path)
    rules = rules_for_batch(tmp_path, SECTOR, "t")
    required = [rule.kwargs["column"] for rule in rules if rule.id.partition("t.")[2].count("required")]
    assert required == names
    assert len([rule for rule in rules if rule.id.startswith(f"t.{names[-1]}.")]) == (
        2 if names[-1].isidentifier() else 0
    )


def test_yaml_is_the_same_to_every_reader_and_shows_what_it_holds(wild: Wild) -> None:
    for path in [*wild.root.rglob("*.yaml"), *wild.root.rglob("*.yml")]:
        text = path.read_bytes().decode()
        assert yaml.load(text, Loader=yaml.SafeLoader) == yaml.load(text, Loader=yaml.CSafeLoader), path  # noqa: S506
        assert not set(text) & set("\u202e\u200b\ufeff\u2028\x85\x01\x1b\r"), path
    dumped = yaml_text.dump(["1e3", "0x1f", "08", "y", "1.0", "yes", "~", "null"])
    assert dumped.count("'") == 16


def environment(root: Path) -> jinja2.Environment:
    """Jinja with the project's own macros and, for what dbt adds, marks that a template cannot make by itself."""

    def refuse(*_: Any) -> str:
        raise AssertionError("a source's words were run")

    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(root / "dbt_project/macros"),
        extensions=["jinja2.ext.do"],
        autoescape=False,  # noqa: S701
    )
    found.globals |= {"doc": refuse, "env_var": refuse, "config": lambda **_: "", "raise": refuse}
    found.globals |= {
        "newest_versions": lambda *_: "newest",
        "changed_rows": lambda *_: "changed",
        "staging_columns": lambda *_: "s",
    }
    found.globals |= {"return": lambda value: value}
    return found


def test_a_staging_model_names_every_column_literally(wild: Wild) -> None:
    jinja = environment(wild.root)
    macros = (OURS / "dbt_project/macros/staging.sql").read_text(encoding="utf-8")
    start = macros.index("{% macro quoted(")
    end = macros.index("{%- endmacro %}", macros.index("{% macro renamed(")) + len("{%- endmacro %}")
    for contract in wild.contracts:
        template = (wild.root / drafts.staging_path(contract)).read_bytes().decode()
        body = template.partition("typed as (")[2]
        rendered = jinja.from_string(macros[start:end].replace("return(", "(") + body).render()
        for column in contract.columns:
            name = '"' + column.source_name.replace('"', '""') + '"'
            assert f'{name} as "{column.name}"' in rendered or (
                column.source_name == column.name and f"        {column.name}" in rendered
            )


def test_the_cleaning_macro_holds_every_name(wild: Wild) -> None:
    jinja = environment(wild.root)
    for contract in wild.contracts:
        found: dict[str, str] = {}
        macro = cleaning_macros(contract)
        body = macro.partition(f"macro cleaned__{contract.raw_table}() -%}}")[2].partition("    {{ return(found) }}")[0]
        jinja.from_string(body.replace("{%- set found = {} -%}", "")).render(found=found)
        (column,) = (column for column in contract.columns if column.cleaning)
        assert list(found) == [column.source_name]
        key = macro.partition(f"macro key__{contract.raw_table}() -%}}")[2].partition("{%- endmacro %}")[0]
        assert '"' + contract.key[0].replace('"', '""') + '"' in jinja.from_string(key).render()
        assert '"' + column.source_name.replace('"', '""') + '"' in found[column.source_name]


def test_dbt_parses_all_of_it_and_runs_none(wild: Wild, monkeypatch: pytest.MonkeyPatch) -> None:
    from dbt.cli.main import dbtRunner

    for name, value in {"HOST": "localhost", "PORT": "1", "NAME": "x", "USER": "x"}.items():
        monkeypatch.setenv(f"PDIC_DB_{name}", value)
    monkeypatch.setenv("DBT_ENV_SECRET_PDIC_PASSWORD", "x")
    monkeypatch.setenv("DBT_TARGET_PATH", str(wild.root / "target"))
    monkeypatch.setenv("DBT_LOG_PATH", str(wild.root / "log"))
    monkeypatch.setenv("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
    folder = str(wild.root / "dbt_project")
    outcome = dbtRunner().invoke(["parse", "--project-dir", folder, "--profiles-dir", folder, "--log-level", "none"])
    assert outcome.success, outcome.exception
    manifest: Any = outcome.result
    by_name = {contract.raw_table: contract for contract in wild.contracts}
    assert len(manifest.sources) == 2 * len(by_name)
    for source in manifest.sources.values():
        contract = by_name[source.name]
        assert list(source.columns) == [column.source_name for column in contract.columns]
        assert source.description == f"{contract.description} | {contract.description_en}"
        assert [column.description for column in source.columns.values()] == [
            f"{column.description_vi} | {column.description_en}" for column in contract.columns
        ]
        assert source.source_description.endswith((f"{contract.owner_agency}", f"of sector {SECTOR}")) or (
            contract.owner_agency in source.source_description
        )
    models = [node for node in manifest.nodes.values() if node.resource_type == "model"]
    assert len(models) == len(by_name)
    for model in models:
        assert by_name[model.name.removeprefix("stg_")].description in model.description


def test_python_and_sql_that_are_generated_hold_the_words_as_constants(wild: Wild) -> None:
    catalogue = (wild.root / "plugins/pdic/generated/catalogue.py").read_text(encoding="utf-8")
    assert "\u202e" not in catalogue
    (sectors,) = (
        node.value
        for node in ast.parse(catalogue).body
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "SECTORS" and node.value
    )
    assert ast.literal_eval(sectors)[SECTOR]["owner_agency"] == wild.contracts[0].owner_agency
    for contract in wild.contracts:
        script = (wild.root / f"plugins/pdic/generated/raw/{contract.raw_table}.sql").read_bytes().decode()
        for column in contract.columns:
            assert '"' + column.source_name.replace('"', '""') + '" text' in script


@pytest.mark.parametrize(
    "text", ["{{ 1 }}", "%}", "{1:{2:3}}", "[1, 2] }}", "'\\ \n\r {#", "plain", "ngày {% x", "1", "None", "[1]", "x\n"]
)
def test_a_value_of_dbts_yaml_is_what_it_was(text: str) -> None:
    jinja = jinja2.Environment(autoescape=False)  # noqa: S701
    jinja.filters["as_text"] = lambda value: value
    for written in (templates.description(text), templates.name(text)):
        assert written == text or jinja.from_string(written).render() == text
    assert jinja.from_string("{{ " + templates.constant(text) + " }}").render() == text
    assert jinja.from_string(templates.raw(text)).render() == text


def test_drafts_of_ordinary_names_are_lint_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the project's own rules, whatever the columns are called; a person who edits a draft sees only what they wrote."""
    monkeypatch.setenv("PDIC_HOME", str(tmp_path / "home"))
    chosen = random.Random(16)  # noqa: S311
    named = {f"t{n}": facts(chosen, n, list(dict.fromkeys(["id", *ORDINARY[n::4]]))) for n in range(4)}
    named |= {f"k{n}": facts(chosen, n, list(dict.fromkeys(ORDINARY[n * 3 : n * 3 + 3]))) for n in range(6)}
    named |= {f"w{n}": facts(chosen, n) for n in range(6)}
    made = project(tmp_path, named)
    monkeypatch.chdir(OURS)
    linter = Linter(config=FluffConfig.from_path(str(OURS / "dbt_project/models")))
    found = []
    for contract in made.contracts:
        key = [column for column in contract.columns if column.primary_key]
        for text in (drafts.staging_text(contract), model_text(contract, key), model_text(contract, contract.columns)):
            found += [
                (contract.dataset, problem.rule_code(), problem.desc(), text.splitlines()[problem.line_no - 1])
                for problem in linter.lint_string(text, fname=f"stg_{contract.raw_table}.sql").get_violations()
            ]
    assert found == []


def test_lint_reads_what_a_person_wrote_or_changed_and_no_draft(wild: Wild) -> None:
    assert written_models(wild.root) == []
    edited = drafts.staging_path(wild.contracts[0])
    own = drafts.MODELS / "core" / "dim_own.sql"
    text = (wild.root / edited).read_bytes().decode()
    try:
        put(wild.root / edited, text + "-- changed\n")
        put(wild.root / own, "select 1\n")
        assert written_models(wild.root) == [own, edited]
    finally:
        put(wild.root / edited, text)
        (wild.root / own).unlink()
    assert written_models(wild.root) == []


def test_every_model_of_this_project_is_read() -> None:
    found = written_models(OURS)
    assert sorted(found) == sorted(path.relative_to(OURS) for path in (OURS / drafts.MODELS).rglob("*.sql"))
