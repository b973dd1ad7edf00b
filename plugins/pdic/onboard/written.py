"""Which models a person wrote, or changed: the ones that lint has to read.

A staging model that is what `pdic onboard` drafts from its contract, byte for byte, needs no reading: that drafts are clean is
tested where they are made (tests/unit/test_onboard_texts.py), and 1,000 of them would
take the linter from four minutes to half an hour.

    python -m pdic.onboard.written | xargs -0 -r sqlfluff lint        paths from the project's root, each ended by a NUL
"""

from __future__ import annotations

import sys
from pathlib import Path

from pdic import contracts, settings
from pdic.errors import PdicError
from pdic.onboard import draft as drafts


def written_models(root: Path) -> list[Path]:
    """The models under ``root`` that are not drafts as they were drafted, relative and sorted.

    One whose contract cannot be read counts as written.
    """
    drafted = {drafts.staging_path(contract): contract for contract in contracts.readable(root).values()}
    found = sorted(path.relative_to(root) for path in (root / drafts.MODELS).rglob("*.sql"))
    return [
        path
        for path in found
        if path not in drafted or (root / path).read_bytes() != drafts.staging_text(drafted[path]).encode()
    ]


if __name__ == "__main__":
    try:
        sys.stdout.write("".join(f"{path.as_posix()}\0" for path in written_models(settings.project_root())))
    except PdicError as error:
        sys.exit(f"pdic: {error}")
