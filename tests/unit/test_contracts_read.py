"""Reading contracts: what is accepted, and that every mistake is named with its file, its field and what to do."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from pdic.contracts import ContractError, get, load_all, load_shared, reserved

PUPIL = """\
apiVersion: v3.2.0
kind: DataContract
id: education.pupil
name: pupil
version: 1.0.0
status: active
domain: education
team:
  name: Sở Giáo dục và Đào tạo
description:
  purpose: Học sinh của tỉnh
slaProperties:
  - {property: frequency, value: 1, unit: d, scheduler: cron, schedule: '40  1 * * *'}
  - {property: latency, value: 26, unit: h}
customProperties:
  - {property: descriptionEn, value: Pupils of the province}
  - {property: capture, value: cursor}
  - {property: cursorColumn, value: capNhat}
  - {property: deletes, value: soft}
  - {property: softDeleteColumn, value: daXoa}
  - {property: overlap, value: 15m}
schema:
  - name: pupil
    physicalName: public.hocSinh
    physicalType: table
    businessName: Học sinh
    properties:
      - name: pupil_code
        physicalName: maHocSinh
        physicalType: character varying(20)
        logicalType: string
        description: Mã học sinh
        classification: identifier
        primaryKey: true
        required: true
        customProperties:
          - {property: descriptionEn, value: Pupil code}
      - name: sex_code
        physicalName: gioiTinh
        physicalType: character varying(1)
        logicalType: string
        description: 'Giới tính: 1 nam, 2 nữ'
        classification: sensitive
        enum:
          - {value: '1', label: nam}
          - {value: '2', label: nữ}
        customProperties:
          - {property: descriptionEn, value: Sex}
      - name: height_cm
        physicalName: chieuCao
        physicalType: numeric(4,1)
        logicalType: number
        logicalTypeOptions: {minimum: 30, maximum: 250}
        description: Chiều cao
        classification: sensitive
        customProperties:
          - {property: descriptionEn, value: Height}
          - {property: unit, value: cm}
          - {property: onFail, value: warn}
      - name: updated_at
        physicalName: capNhat
        physicalType: timestamp with time zone
        logicalType: timestamp
        description: Thời gian cập nhật
        classification: internal
        required: true
        customProperties:
          - {property: descriptionEn, value: Changed at}
      - name: is_deleted
        physicalName: daXoa
        physicalType: boolean
        logicalType: boolean
        description: Đã xoá
        classification: internal
        customProperties:
          - {property: descriptionEn, value: Deleted}
"""

TABLE = """\
apiVersion: v3.2.0
kind: DataContract
id: shared.dim_pupil
name: dim_pupil
version: 1.0.0
status: active
domain: shared
description:
  purpose: Học sinh
customProperties:
  - {property: descriptionEn, value: Pupils}
  - {property: grain, value: one row per pupil}
  - {property: minRows, value: 1}
schema:
  - name: dim_pupil
    physicalType: table
    businessName: Học sinh
    properties:
      - name: citizen_key
        physicalType: text
        logicalType: string
        description: Khoá công dân
        classification: internal
        primaryKey: true
        required: true
        customProperties:
          - {property: descriptionEn, value: Citizen key}
      - name: full_name
        physicalType: text
        logicalType: string
        description: Họ và tên
        classification: personal
        customProperties:
          - {property: descriptionEn, value: Name}
"""


def write(root: Path, text: str, place: str = "education/pupil") -> None:
    path = root / "contracts" / f"{place}.odcs.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def changed(text: str, old: str, new: str) -> str:
    assert old in text, old
    return text.replace(old, new, 1)


def restricted(text: str = TABLE) -> str:
    return changed(text, "  - {property: minRows", "  - {property: restricted, value: true}\n  - {property: minRows")


def test_a_contract_is_read_whole(tmp_path: Path) -> None:
    write(tmp_path, PUPIL)
    contract = get("education", "pupil", tmp_path)
    assert (contract.id, contract.table, contract.key) == ("education.pupil", "public.hocSinh", ("maHocSinh",))
    assert (contract.table_schema, contract.table_name) == ("public", "hocSinh")
    assert (contract.capture, contract.cursor_column, contract.deletes) == ("cursor", "capNhat", "soft")
    assert contract.soft_delete_column == "daXoa"
    assert (contract.cadence, contract.freshness) == ("40 1 * * *", timedelta(hours=26))
    assert (contract.overlap, contract.min_rows) == (timedelta(minutes=15), 0)
    assert contract.path == Path("contracts/education/pupil.odcs.yaml")
    height = contract.column("chieuCao")
    assert (height.name, height.minimum, height.maximum, height.unit, height.on_fail) == (
        *("height_cm", 30, 250),
        *("cm", "warn"),
    )
    sex = contract.column("gioiTinh")
    assert dict(zip(sex.enum, sex.enum_labels, strict=True)) == {"1": "nam", "2": "nữ"}
    with pytest.raises(KeyError, match="chieucao"):
        contract.column("chieucao")


def test_a_contract_says_how_its_source_is_read(tmp_path: Path) -> None:
    text = PUPIL.replace("timestamp with time zone", "timestamp without time zone").replace(
        "  - {property: overlap, value: 15m}",
        "  - {property: cursorTimeZone, value: Asia/Ho_Chi_Minh}\n  - {property: statementTimeout, value: 30m}\n"
        "  - {property: sourceConnections, value: 2}\n  - {property: maxBytesPerSecond, value: 1000000}",
    )
    write(tmp_path, text)
    contract = get("education", "pupil", tmp_path)
    assert contract.cursor_time_zone == "Asia/Ho_Chi_Minh"
    assert (contract.statement_timeout, contract.idle_timeout) == (timedelta(minutes=30), timedelta(minutes=10))
    assert (contract.source_connections, contract.max_bytes_per_second) == (2, 1_000_000)


def test_contracts_are_sorted_and_shared_ones_are_apart(tmp_path: Path) -> None:
    for dataset in ("pupil", "lesson"):
        write(
            tmp_path,
            PUPIL.replace("education.pupil", f"education.{dataset}").replace("name: pupil\nv", f"name: {dataset}\nv"),
            f"education/{dataset}",
        )
    write(tmp_path, restricted(), "shared/dim_pupil")
    assert list(load_all(tmp_path)) == [("education", "lesson"), ("education", "pupil")]
    assert list(load_shared(tmp_path)) == ["dim_pupil"]


def test_a_snapshot_may_not_be_empty_unless_it_says_so(tmp_path: Path) -> None:
    snapshot = PUPIL
    for gone in ("capture, value: cursor}", "cursorColumn", "overlap"):
        line = next(line for line in snapshot.splitlines() if gone in line)
        new = "  - {property: capture, value: snapshot}\n" if "capture," in line else ""
        snapshot = changed(snapshot, line + "\n", new)
    write(tmp_path, snapshot)
    assert get("education", "pupil", tmp_path).min_rows == 1
    write(tmp_path, changed(snapshot, "schema:", "  - {property: minRows, value: 0}\nschema:"))
    assert get("education", "pupil", tmp_path).min_rows == 0


def from_the_log(more: str) -> str:
    text = changed(PUPIL, "capture, value: cursor", "capture, value: cdc")
    for gone in ("cursorColumn", "overlap"):
        text = changed(text, next(line for line in text.splitlines() if gone in line) + "\n", "")
    return changed(text, "schema:", f"{more}schema:")


def test_a_log_may_be_read_from_a_publication_of_any_name(tmp_path: Path) -> None:
    write(tmp_path, from_the_log(""))
    pupil = get("education", "pupil", tmp_path)
    assert (pupil.capture, pupil.publication, pupil.max_retained_bytes, pupil.min_rows) == ("cdc", None, 2**30, 0)
    write(
        tmp_path, from_the_log("  - {property: publication, value: Tỉnh}\n  - {property: maxRetainedBytes, value: 5}\n")
    )
    pupil = get("education", "pupil", tmp_path)
    assert (pupil.publication, pupil.max_retained_bytes) == ("Tỉnh", 5)


@pytest.mark.parametrize("name", [7, "''", "x" * 64])
def test_a_publication_has_a_name(tmp_path: Path, name: object) -> None:
    write(tmp_path, from_the_log(f"  - {{property: publication, value: {name}}}\n"))
    with pytest.raises(ContractError, match="is not a publication's name"):
        get("education", "pupil", tmp_path)


def test_a_log_needs_no_sweep_for_deletes(tmp_path: Path) -> None:
    text = changed(from_the_log(""), "deletes, value: soft", "deletes, value: reconcile")
    write(tmp_path, changed(text, "  - {property: softDeleteColumn, value: daXoa}\n", ""))
    with pytest.raises(ContractError, match="the log already says"):
        get("education", "pupil", tmp_path)


@pytest.mark.parametrize("name", ["_op", "_batch_id", "_pdic_anything", "ctid", "tableoid"])
def test_a_reserved_name_is_read_and_called_otherwise_in_raw(tmp_path: Path, name: str) -> None:
    write(tmp_path, changed(PUPIL, "physicalName: gioiTinh", f"physicalName: {name}"))
    column = get("education", "pupil", tmp_path).columns[1]
    assert column.name_at_source == name
    assert column.source_name == f"source_{name.removeprefix('_')}"
    assert not reserved.is_reserved(column.source_name)


def test_a_name_in_raw_is_never_given_twice() -> None:
    names = ["_op", "source_op", "source_op_2", "_" + "pdic_" + "ấ" * 19, "x"]
    found = reserved.raw_names(names)
    assert found["_op"] == "source_op_3"
    assert {name: found[name] for name in ("source_op", "source_op_2", "x")} == {
        n: n for n in ("source_op", "source_op_2", "x")
    }
    assert len(set(found.values())) == len(names)
    assert max(len(name.encode()) for name in found.values()) <= 63


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("cursorColumn, value: capNhat", "cursorColumn, value: _op", "capNhat"),
        ("softDeleteColumn, value: daXoa", "softDeleteColumn, value: _row", "daXoa"),
    ],
)
def test_what_a_load_asks_for_has_no_reserved_name(tmp_path: Path, old: str, new: str, field: str) -> None:
    name = new.rpartition(" ")[2]
    write(tmp_path, changed(changed(PUPIL, old, new), f"physicalName: {field}", f"physicalName: {name}"))
    with pytest.raises(ContractError, match=f"PDIC keeps the name {name} for itself"):
        get("education", "pupil", tmp_path)


def test_more_columns_than_a_table_can_have(tmp_path: Path) -> None:
    flag = PUPIL[PUPIL.index("      - name: is_deleted") :]
    more = "".join(
        flag.replace("is_deleted", f"flag_{i}").replace("daXoa", f"co{i}") for i in range(reserved.MOST_COLUMNS)
    )
    write(tmp_path, PUPIL + more)
    with pytest.raises(ContractError, match="the warehouse's tables hold 1590"):
        get("education", "pupil", tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "field", "said"),
    [
        ("id: education.pupil", "id: education.pupils", "id", "say education.pupil"),
        ("name: pupil\nversion", "name: pupils\nversion", "name", "does not match the file's place"),
        ("domain: education", "domain: health", "domain", "say education"),
        ("v3.2.0", "v2.2.2", "apiVersion", "v3.1.0, v3.2.0"),
        ("v3.2.0", "v3.1.0", "properties.sex_code.enum", "say apiVersion: v3.2.0"),
        ("version: 1.0.0", "version: one", "version", "major.minor.patch"),
        ("version: 1.0.0", "version: 1.0", "version", "valid string"),
        ("status: active", "status: alive", "status", "active"),
        ("status: active", "status: active\nowner: me", "owner", "does not read this field"),
        ("  name: Sở Giáo dục và Đào tạo", "  name: ''", "team.name", "which agency"),
        ("  purpose: Học sinh của tỉnh", "  usage: Học sinh", "description.usage", "purpose"),
        (
            "{property: descriptionEn, value: Pupils of the province}",
            "{property: descriptionEn}",
            "customProperties.descriptionEn",
            "no value",
        ),
        (
            "  - {property: overlap, value: 15m}",
            "  - {property: overlapp, value: 15m}",
            "customProperties.overlapp",
            "no such custom property",
        ),
        (
            "  - {property: overlap, value: 15m}",
            "  - {property: overlap, value: soon}",
            "customProperties.overlap",
            "not a length of time",
        ),
        (
            "  - {property: overlap, value: 15m}",
            "  - {property: capture, value: cursor}",
            "customProperties.capture",
            "given twice",
        ),
        (
            "  - {property: overlap, value: 15m}",
            "  - {property: statementTimeout, value: 0m}",
            "customProperties.statementTimeout",
            "not a length of time",
        ),
        (
            "  - {property: overlap, value: 15m}",
            "  - {property: cursorTimeZone, value: UTC}",
            "customProperties.cursorTimeZone",
            "take it out",
        ),
        (
            "timestamp with time zone",
            "timestamp without time zone",
            "customProperties.cursorTimeZone",
            "the cursor has no time zone",
        ),
        (
            "  - {property: overlap, value: 15m}",
            "  - {property: minRows, value: -1}",
            "customProperties.minRows",
            "not a number of rows",
        ),
        (
            "  - {property: overlap, value: 15m}",
            "  - {property: agencyColumn, value: maTruong}",
            "customProperties.agencyColumn",
            "no column 'maTruong'",
        ),
        (
            "  - {property: overlap, value: 15m}",
            "  - {property: agencyColumn, value: maHocSinh}",
            "customProperties.agencyColumn",
            "agencies are named in reports",
        ),
        ("capture, value: cursor", "capture, value: log", "customProperties.capture", "say one of cursor, snapshot"),
        (
            "  - {property: overlap, value: 15m}",
            "  - {property: publication, value: p}",
            "customProperties.publication",
            "only capture: cdc uses it",
        ),
        (
            "  - {property: overlap, value: 15m}",
            "  - {property: maxRetainedBytes, value: 1}",
            "customProperties.maxRetainedBytes",
            "only capture: cdc uses it",
        ),
        (
            "capture, value: cursor",
            "capture, value: snapshot",
            "customProperties.cursorColumn",
            "only capture: cursor uses it",
        ),
        (
            "  - {property: cursorColumn, value: capNhat}\n",
            "",
            "customProperties.cursorColumn",
            "capture: cursor needs it",
        ),
        (
            "cursorColumn, value: capNhat",
            "cursorColumn, value: updated_at",
            "customProperties.cursorColumn",
            "no column 'updated_at'",
        ),
        (
            "cursorColumn, value: capNhat",
            "cursorColumn, value: maHocSinh",
            "customProperties.cursorColumn",
            "no timestamp",
        ),
        ("deletes, value: soft", "deletes, value: hard", "customProperties.deletes", "none, soft, reconcile"),
        ("deletes, value: soft", "deletes, value: none", "customProperties.softDeleteColumn", "only deletes: soft"),
        ("  - {property: softDeleteColumn, value: daXoa}\n", "", "customProperties.softDeleteColumn", "needs it"),
        (
            "softDeleteColumn, value: daXoa",
            "softDeleteColumn, value: xoa",
            "customProperties.softDeleteColumn",
            "no column 'xoa'",
        ),
        (
            "softDeleteColumn, value: daXoa",
            "softDeleteColumn, value: capNhat",
            "customProperties.softDeleteColumn",
            "must be boolean",
        ),
        ("schedule: '40  1 * * *'", "schedule: '61 1 * * *'", "slaProperties.frequency.schedule", "outside 0-59"),
        ("schedule: '40  1 * * *'", "schedule: '@daily'", "slaProperties.frequency.schedule", "5 fields"),
        ("scheduler: cron, ", "", "slaProperties.frequency", "no cron schedule"),
        ("property: latency", "property: retention", "slaProperties.retention", "known: frequency, latency"),
        ("value: 26, unit: h", "value: 26, unit: w", "slaProperties.latency", "stale"),
        ("  - name: pupil\n", "  - name: Học sinh\n", "schema[0].name", "snake_case"),
        ("public.hocSinh", "hocSinh", "schema[0].physicalName", "not schema.table"),
        ("    businessName: Học sinh\n", "", "schema[0].businessName", "Vietnamese title"),
        (
            "    businessName: Học sinh\n",
            "    businessName: Học sinh\n    quality: []\n",
            "schema[0].quality",
            "does not read this field",
        ),
        ("name: sex_code", "name: sexCode", "properties.sexCode.name", "snake_case"),
        ("name: sex_code", "name: height_cm", "properties.height_cm.name", "two columns"),
        ("physicalName: gioiTinh", "physicalName: chieuCao", "properties.chieuCao.physicalName", "two columns"),
        ("        physicalName: gioiTinh\n", "", "properties.sex_code.physicalName", "is missing"),
        ("name: sex_code", "name: xmin", "properties.xmin.name", "PostgreSQL keeps the name xmin"),
        (
            "physicalName: maHocSinh\n        physicalType: character varying(20)\n        logicalType: string",
            "physicalName: maHocSinh\n        physicalType: jsonb\n        logicalType: object",
            "properties.pupil_code.primaryKey",
            "no text of jsonb that is the same for all values that are equal",
        ),
        (
            "physicalName: maHocSinh\n        physicalType: character varying(20)",
            "physicalName: maHocSinh\n        physicalType: point",
            "properties.pupil_code.primaryKey",
            "no order, or no equality, for values of point",
        ),
        ("physicalName: gioiTinh", f"physicalName: {'x' * 64}", "properties.sex_code.physicalName", "longer than 63"),
        ("        physicalType: numeric(4,1)\n", "", "properties.height_cm.physicalType", "is missing"),
        (
            "physicalType: numeric(4,1)",
            "physicalType: 'decimal(4)'",
            "properties.height_cm.physicalType",
            "say numeric(4,0)",
        ),
        ("character varying(1)", "varchar(1)", "properties.sex_code.physicalType", "say character varying(1)"),
        ("character varying(1)", "'text; drop table x'", "properties.sex_code.physicalType", "as PostgreSQL prints it"),
        ("logicalType: number", "logicalType: string", "properties.height_cm.logicalType", "say number"),
        (
            "        classification: sensitive\n        enum",
            "        enum",
            "properties.sex_code.classification",
            "is missing",
        ),
        (
            "classification: sensitive\n        enum",
            "classification: secret\n        enum",
            "properties.sex_code.classification",
            "identifier, internal, personal",
        ),
        ("        description: Chiều cao\n", "", "properties.height_cm.description", "in Vietnamese"),
        (
            "          - {property: descriptionEn, value: Height}\n",
            "",
            "properties.height_cm.customProperties.descriptionEn",
            "in English",
        ),
        (
            "property: unit, value: cm",
            "property: units, value: cm",
            "properties.height_cm.customProperties.units",
            "descriptionEn, guessed, heldBack, onFail, sourceType, unit",
        ),
        (
            "onFail, value: warn",
            "onFail, value: ignore",
            "properties.height_cm.customProperties.onFail",
            "quarantine or warn",
        ),
        ("        primaryKey: true\n", "", "properties", "no column is the primary key"),
        (
            "        primaryKey: true\n        required: true",
            "        primaryKey: true",
            "properties.pupil_code.required",
            "may not be empty",
        ),
        ("value: '1', label", "value: 1, label", "properties.sex_code.enum", "put quotes around it"),
        ("value: '1', label", "value: '2', label", "properties.sex_code.enum", "listed twice"),
        ("value: '1', label", "value: '1', labels: x, label", "properties.sex_code.enum[0].labels", "does not read"),
        (
            "{minimum: 30, maximum: 250}",
            "{minimum: 300, maximum: 250}",
            "properties.height_cm.logicalTypeOptions.minimum",
            "above the maximum",
        ),
        (
            "{minimum: 30, maximum: 250}",
            "{minimum: '30'}",
            "properties.height_cm.logicalTypeOptions.minimum",
            "without quotes",
        ),
        (
            "{minimum: 30, maximum: 250}",
            "{pattern: '^x$'}",
            "properties.height_cm.logicalTypeOptions.pattern",
            "no such option",
        ),
        (
            "        enum:",
            "        logicalTypeOptions: {pattern: '[12'}\n        enum:",
            "properties.sex_code.logicalTypeOptions.pattern",
            "not a regular expression",
        ),
        (
            "        enum:",
            "        logicalTypeOptions: {pattern: '^[12]'}\n        enum:",
            "properties.sex_code.logicalTypeOptions.pattern",
            "also matches longer",
        ),
        (
            "        enum:",
            "        logicalTypeOptions: {maxLength: 2}\n        enum:",
            "properties.sex_code.logicalTypeOptions.maxLength",
            "allows 1 characters",
        ),
        (
            "        enum:",
            "        logicalTypeOptions: {maxLength: many}\n        enum:",
            "properties.sex_code.logicalTypeOptions.maxLength",
            "not a number of characters",
        ),
        (
            "      - name: sex_code",
            "      - name: sex_code\n        quality: []",
            "properties.sex_code.quality",
            "does not read this field",
        ),
        ("      - name: sex_code", "      - name: sex_code\n        name: sex", "file", "written twice"),
        ("kind: DataContract", "kind: [", "file", "not YAML"),
        ("required: true", "required: [1]", "schema.0.properties.0.required", "boolean"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, field: str, said: str) -> None:
    write(tmp_path, changed(PUPIL, old, new))
    with pytest.raises(ContractError) as caught:
        get("education", "pupil", tmp_path)
    problems = [problem for problem in caught.value.problems if problem.field == field]
    assert problems, str(caught.value)
    assert any(said in str(problem) for problem in problems), str(caught.value)
    assert all(problem.path == Path("contracts/education/pupil.odcs.yaml") for problem in caught.value.problems)
    assert all(problem.todo for problem in caught.value.problems)


def test_the_parts_of_a_key_are_numbered(tmp_path: Path) -> None:
    second = changed(
        PUPIL,
        "        classification: sensitive\n        enum",
        "        classification: sensitive\n        primaryKey: true\n        required: true\n        enum",
    )
    write(tmp_path, second)
    with pytest.raises(ContractError, match="number the 2 key columns from 1"):
        get("education", "pupil", tmp_path)
    numbered = second.replace("primaryKey: true", "primaryKey: true\n        primaryKeyPosition: 2", 1)
    head, _, tail = numbered.rpartition("primaryKey: true\n        required")
    write(tmp_path, f"{head}primaryKey: true\n        primaryKeyPosition: 1\n        required{tail}")
    assert get("education", "pupil", tmp_path).key == ("gioiTinh", "maHocSinh")


def test_all_problems_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    wrong = changed(changed(PUPIL, "status: active", "status: alive"), "name: sex_code", "name: sexCode")
    write(tmp_path, wrong)
    write(tmp_path, "- a list", "health/visit")
    with pytest.raises(ContractError) as caught:
        load_all(tmp_path)
    assert [(problem.path.stem, problem.field) for problem in caught.value.problems] == [
        ("pupil.odcs", "status"),
        ("pupil.odcs", "properties.sexCode.name"),
        ("visit.odcs", "file"),
    ]


@pytest.mark.parametrize("place", ["education/Pupil", "Education/pupil", "edu__cation/pupil", "education/_pupil"])
def test_places_are_snake_case(tmp_path: Path, place: str) -> None:
    write(tmp_path, PUPIL, place)
    with pytest.raises(ContractError, match="is not snake_case"):
        load_all(tmp_path)


def test_names_must_leave_room_for_the_batch_table(tmp_path: Path) -> None:
    name = "a" * 40
    write(tmp_path, PUPIL, f"education/{name}")
    with pytest.raises(ContractError, match="longer than 49 characters"):
        load_all(tmp_path)


@pytest.mark.parametrize("place", ["education/deep/pupil", "pupil"])
def test_a_file_out_of_place_is_refused(tmp_path: Path, place: str) -> None:
    write(tmp_path, PUPIL, place)
    with pytest.raises(ContractError, match="move or rename it"):
        load_all(tmp_path)
    with pytest.raises(ContractError, match="move or rename it"):
        load_shared(tmp_path)


@pytest.mark.parametrize(("sector", "dataset"), [("education", "lesson"), ("shared", "dim_pupil")])
def test_a_dataset_without_contract_is_named(tmp_path: Path, sector: str, dataset: str) -> None:
    write(tmp_path, restricted(), "shared/dim_pupil")
    with pytest.raises(ContractError, match=f"no contract for dataset '{dataset}' of sector '{sector}'"):
        get(sector, dataset, tmp_path)


def test_one_contract_describes_one_table(tmp_path: Path) -> None:
    write(tmp_path, PUPIL + "  - name: other\n")
    with pytest.raises(ContractError, match="describes 2 tables"):
        get("education", "pupil", tmp_path)


def test_a_shared_contract_with_a_personal_column_is_refused(tmp_path: Path) -> None:
    write(tmp_path, TABLE, "shared/dim_pupil")
    with pytest.raises(ContractError) as caught:
        load_shared(tmp_path)
    (problem,) = caught.value.problems
    assert problem.field == "properties.full_name.classification"
    assert "restricted: true" in problem.todo


def test_a_restricted_table_keeps_its_closed_columns_to_itself(tmp_path: Path) -> None:
    write(tmp_path, restricted(), "shared/dim_pupil")
    contract = load_shared(tmp_path)["dim_pupil"]
    assert [column.name for column in contract.columns] == ["citizen_key", "full_name"]
    assert [column.name for column in contract.open_columns] == ["citizen_key"]
    assert (contract.key, contract.min_rows) == (("citizen_key",), 1)


@pytest.mark.parametrize(
    ("old", "new", "field", "said"),
    [
        ("restricted, value: true", "restricted, value: 'yes'", "customProperties.restricted", "unquoted"),
        ("  - {property: grain, value: one row per pupil}\n", "", "customProperties.grain", "what one row is"),
        ("property: grain", "property: capture", "customProperties.capture", "grain, limits, minRows"),
        (
            "  - {property: restricted",
            "  - {property: limits, value: {rows_fall: much}}\n  - {property: restricted",
            "customProperties.limits",
            "no list of limits",
        ),
        ("  - name: dim_pupil", "  - name: pupil", "schema[0].name", "must be dim_pupil"),
        (
            "      - name: full_name",
            "      - name: full_name\n        physicalName: hoTen",
            "properties.full_name.physicalName",
            "one name only",
        ),
        (
            "classification: internal",
            "classification: identifier",
            "schema[0].properties",
            "no column is public or internal",
        ),
    ],
)
def test_a_mistake_in_a_shared_contract_is_named(tmp_path: Path, old: str, new: str, field: str, said: str) -> None:
    write(tmp_path, changed(restricted(), old, new), "shared/dim_pupil")
    with pytest.raises(ContractError) as caught:
        load_shared(tmp_path)
    assert any(problem.field == field and said in str(problem) for problem in caught.value.problems), str(caught.value)
