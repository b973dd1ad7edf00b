"""What stands on the screen while the demo is seeded, from the first moment on."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pdic.cli import demo


def test_the_first_seconds_have_a_label_and_every_step_after_them_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the lists of names takes seconds in which nothing is counted yet: the bar says so, and not nothing."""
    screen = Console(file=io.StringIO(), force_terminal=True, width=80)
    monkeypatch.setattr(demo, "console", screen)
    shown = []
    with demo._progress() as bar:
        for step in (None, ("families", 0, 500), ("education.hocsinh", 250, 1_000)):
            if step is not None:
                bar(*step)
            (task,) = bar._bar.tasks
            shown.append((task.description, task.completed, task.total))
            bar._bar.refresh()
    assert shown == [
        ("reading the lists of names and units", 0, None),
        ("families", 0, 500),
        ("education.hocsinh", 250, 1_000),
    ]
    for label in ("reading the lists of names and units", "families", "education.hocsinh"):
        assert label in screen.file.getvalue()  # type: ignore[attr-defined]
