"""Which models a person wrote, or changed: the ones that lint has to read.

A model that is what `pdic onboard` or `pdic share` drafts from its contract, byte for byte, needs no reading: that drafts are clean
is tested where they are made (tests/unit/test_onboard_texts.py), and 1,000 of them would take the linter from four minutes to half an
hour.

    python -m pdic.onboard.written | xargs -0 -r sqlfluff lint        paths from the project's root, each ended by a NUL
"""

from __future__ import annotations

import sys
from pathlib import Path

from pdic import settings
from pdic.contracts.read import find
from pdic.errors import PdicError
from pdic.onboard import draft as drafts
from pdic.onboard.share import BEGINS, model_path, model_text


def written_models(root: Path) -> list[Path]:
    """The models under ``root`` that are not drafts as they were drafted, relative and sorted.

    One whose contract cannot be read counts as written.
    """
    found = find(root)
    by_path = {drafts.staging_path(contract): contract for contract in found.datasets.values()}
    by_id = {contract.id: contract for contract in found.datasets.values()}

    def drafted(path: Path, text: str) -> str | None:
        if path in by_path:
            return drafts.staging_text(by_path[path])
        contract = by_id.get(text.removeprefix(BEGINS).partition(" ")[0]) if text.startswith(BEGINS) else None
        shared = found.shared.get(path.stem)
        if contract is None or shared is None or path != model_path(contract.sector, shared.table):
            return None
        names = {column.name for column in shared.columns}
        return model_text(contract, [column for column in contract.columns if column.name in names])

    models = sorted(path.relative_to(root) for path in (root / drafts.MODELS).rglob("*.sql"))
    return [path for path in models if (text := _text(root / path)) != drafted(path, text)]


def _text(path: Path) -> str:
    """As it was written, its line ends among it; what is not UTF-8 equals no draft."""
    return path.read_bytes().decode("utf-8", errors="replace")


if __name__ == "__main__":
    try:
        sys.stdout.write("".join(f"{path.as_posix()}\0" for path in written_models(settings.project_root())))
    except PdicError as error:
        sys.exit(f"pdic: {error}")
