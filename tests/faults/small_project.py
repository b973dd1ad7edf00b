"""A small project out of this one: some of its datasets, and whatever of its logic needs no other.

What stays is not listed anywhere: dbt knows which tables each model and test reads.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pdic.contracts.compile import compile_all
from pdic.release.dbt import import_runner

OURS = Path(__file__).parents[2]
PARTS = (
    "contracts",
    "dbt_project",
    "demo",
    "expectations",
    "plugins/pdic/generated",
    "plugins/pdic/warehouse/functions",
)


def small_project(root: Path, datasets: Collection[str]) -> None:
    """Makes the project of `datasets` (`SECTOR.DATASET`, or `SECTOR` for all of its datasets) in the new folder `root`."""
    for part in PARTS:
        shutil.copytree(OURS / part, root / part, ignore=shutil.ignore_patterns("target", "logs", "__pycache__"))
    shutil.copy(OURS / "pyproject.toml", root)
    manifest = _parsed(root)
    for path in {root / "dbt_project" / test.original_file_path for test in manifest.unit_tests.values()}:
        path.unlink()  # they judge the models' logic, which no kill changes
    for contract in (root / "contracts").glob("*/*.odcs.yaml"):
        sector, name = contract.parent.name, contract.name.removesuffix(".odcs.yaml")
        if sector != "shared" and not {sector, f"{sector}.{name}"} & set(datasets):
            contract.unlink()
            (root / "expectations" / "batch" / sector / f"{name}.yaml").unlink(missing_ok=True)
    for node in _without_source(manifest, datasets):
        (root / "dbt_project" / node.original_file_path).unlink()
        (root / "contracts" / "shared" / f"{node.name}.odcs.yaml").unlink(missing_ok=True)
        (root / "expectations" / "release" / f"{node.name}.yaml").unlink(missing_ok=True)
    for folder in (root / "contracts").iterdir():
        if not list(folder.glob("*.odcs.yaml")):
            shutil.rmtree(folder)
    compile_all(root, check=False)


def _parsed(root: Path) -> Any:
    """What dbt knows of the project in `root`."""
    folder = str(root / "dbt_project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DBT_TARGET_PATH", str(root / "target"))
        patch.setenv("DBT_LOG_PATH", str(root / "target"))
        words = ["--project-dir", folder, "--profiles-dir", folder, "--log-level", "none", "--log-level-file", "none"]
        parsed = import_runner()().invoke(["parse", *words])
    shutil.rmtree(root / "target")
    assert parsed.success, parsed.exception
    return parsed.result


def _without_source(manifest: Any, datasets: Collection[str]) -> Iterator[Any]:
    """The models, and the tests with a file of their own, that read another dataset, themselves or through what they read."""

    @cache
    def is_there(node_id: str) -> bool:
        if node_id in manifest.sources:
            sector, parted, dataset = manifest.sources[node_id].name.partition("__")
            return not parted or bool({sector, f"{sector}.{dataset}"} & set(datasets))
        return all(map(is_there, getattr(manifest.nodes[node_id].depends_on, "nodes", ())))

    for node_id, node in manifest.nodes.items():
        if node.original_file_path.endswith(".sql") and not is_there(node_id):
            yield node
