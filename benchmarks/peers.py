"""The other tools: an environment of their own, which never mixes with PDIC's, and how each is run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import citizen
from benchmarks.watch import watched

ROOT = citizen.HERE.parent
PLACE = ROOT / ".venv-bench"
LOADS = ("full", "incremental")


class Peers:
    """dlt, sling and Airflow's insert_rows, from the database `source` into schemas of the database `target`."""

    def __init__(self, source: str, target: str, folder: Path) -> None:
        self._folder = folder
        self._uris = {"BENCH_SOURCE": source, "BENCH_TARGET": target}

    def ways(self, load: str) -> dict[str, Callable[[], dict[str, Any]]]:
        """The peers that know this kind of load; each runs once and returns seconds and peak memory (MB)."""
        runs: dict[str, Callable[[], dict[str, Any]]] = {
            "sling": lambda: self._sling(load),
            "dlt": lambda: self._dlt(load),
        }
        if load == "full":
            runs["insert_rows"] = self._insert_rows
        return runs

    def table(self, way: str) -> str:
        """Where a peer's rows are."""
        return f"{way}.citizen"

    def _sling(self, load: str) -> dict[str, Any]:
        mode = ["--mode", "full-refresh"] if load == "full" else ["--mode", "incremental", "--primary-key", "id"]
        mode += ["--update-key", "updated_at"] if load != "full" else []
        program = next(PLACE.glob("lib/*/site-packages/sling_linux_amd64/bin/sling-linux-amd64"))
        program.chmod(0o755)
        streams = ["--src-conn", "BENCH_SOURCE", "--src-stream", "public.citizen"]
        streams += ["--tgt-conn", "BENCH_TARGET", "--tgt-object", self.table("sling")]
        return self._run([program, "run", *streams, *mode])

    def _dlt(self, load: str) -> dict[str, Any]:
        if load == "full":
            shutil.rmtree(self._folder / "dlt", ignore_errors=True)
        return self._run([PLACE / "bin" / "python", ROOT / "benchmarks" / "peer_dlt.py", load, self._folder / "dlt"])

    def _insert_rows(self) -> dict[str, Any]:
        return self._run([sys.executable, "-m", "benchmarks.peer_insert_rows"])

    def _run(self, command: list[Any]) -> dict[str, Any]:
        own = {
            "AIRFLOW_HOME": str(self._folder / "airflow"),
            "SLING_HOME_DIR": str(self._folder / "sling"),
            "SLING_DISABLE_TELEMETRY": "true",
            "NO_COLOR": "1",
        }
        return watched([str(word) for word in command], ROOT, {**os.environ, **own, **self._uris})


def prepare() -> str | None:
    """Makes `.venv-bench` hold what benchmarks/requirements.txt pins. Returns why the peers cannot be measured, or None."""
    wanted = citizen.HERE / "requirements.txt"
    stamp = PLACE / ".ready"
    if stamp.is_file() and stamp.read_bytes() == wanted.read_bytes():
        return None
    uv = ROOT / ".venv" / "uv" / "bin" / "uv"
    python = str(PLACE / "bin" / "python")
    install = (
        [str(uv), "pip", "sync", "--quiet", "--require-hashes", "--python", python, str(wanted)]
        if uv.is_file()
        else [python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(wanted)]
    )
    for command in ([sys.executable, "-m", "venv", "--clear", str(PLACE)], install):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["no reason given"]
            return f"the peers could not be installed into {PLACE} ({lines[-1]})"
    stamp.write_bytes(wanted.read_bytes())
    return None


def draw(chart: Path, image: Path) -> str | None:
    """Draws a Vega-Lite file as SVG. Returns why it could not, or None."""
    program = (
        "import sys, vl_convert; from pathlib import Path; "
        "Path(sys.argv[2]).write_text(vl_convert.vegalite_to_svg(Path(sys.argv[1]).read_text(encoding='utf-8')), encoding='utf-8')"
    )
    command = [str(PLACE / "bin" / "python"), "-c", program, str(chart), str(image)]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except OSError as error:
        return f"no image was drawn ({error})"
    return None if done.returncode == 0 else f"no image was drawn ({done.stderr.strip().splitlines()[-1]})"
