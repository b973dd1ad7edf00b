"""The digest that decides whether tables at hand were built by today's logic."""

from __future__ import annotations

from pathlib import Path

from pdic.release.code import digest


def _project(root: Path) -> Path:
    models = root / "dbt_project" / "models"
    models.mkdir(parents=True)
    (models / "one.sql").write_text("select 1", encoding="utf-8")
    (models / "two.sql").write_text("select 2", encoding="utf-8")
    return root


def test_digest_follows_content_and_names(tmp_path: Path) -> None:
    root = _project(tmp_path)
    before = digest(root, ("dbt_project/models",))
    assert digest(root, ("dbt_project/models",)) == before
    (root / "dbt_project/models/one.sql").write_text("select 3", encoding="utf-8")
    changed = digest(root, ("dbt_project/models",))
    assert changed != before
    (root / "dbt_project/models/one.sql").rename(root / "dbt_project/models/three.sql")
    assert digest(root, ("dbt_project/models",)) != changed


def test_a_part_may_be_one_file(tmp_path: Path) -> None:
    root = _project(tmp_path)
    one = digest(root, ("dbt_project/models/one.sql",))
    (root / "dbt_project/models/two.sql").write_text("select 4", encoding="utf-8")
    assert digest(root, ("dbt_project/models/one.sql",)) == one
