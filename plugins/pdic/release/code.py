"""Has the code that makes a release changed since the tables at hand were built?"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from pdic import whole_files

LOGIC: Final = (
    "dbt_project/models",
    "dbt_project/macros",
    "dbt_project/seeds",
    "dbt_project/dbt_project.yml",
    "plugins/pdic/warehouse/functions/clean.sql",
    "plugins/pdic/warehouse/functions/key.sql",
    "plugins/pdic/release/keys.py",
)
"""What decides the content of the shared tables, given the sources: tables built by other logic are built anew."""

AROUND: Final = (
    "contracts/shared",
    "expectations/release",
    "expectations/shape/shared",
    "expectations/comparison.yaml",
)
"""What decides how they are judged and shown."""


def digest(root: Path, parts: tuple[str, ...]) -> str:
    """SHA-256 over the files under `parts` of the project, by name and content (hex)."""
    hasher = hashlib.sha256()
    for part in parts:
        path = root / part
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and not whole_files.is_unfinished(file):
                hasher.update(f"{file.relative_to(root)}\0".encode())
                hasher.update(hashlib.sha256(file.read_bytes()).digest())
    return hasher.hexdigest()
