"""`pdic airflow …`: Airflow's own command line, over the Airflow of this installation."""

from __future__ import annotations

import os
import sys

import typer

from pdic.cli.app import app
from pdic.cli.stack import ensure_warehouse
from pdic.errors import PdicError


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}
)
def airflow(context: typer.Context) -> None:
    """Run a command of Airflow's, like `pdic airflow dags list`.

    It finds this installation's AIRFLOW_HOME and settings by itself.
    """
    from pdic import airflow_config, settings

    if not (settings.home() / "airflow" / "airflow.cfg").is_file():
        raise PdicError(f"there is no Airflow in {settings.home()} yet: start it with `pdic up`, then ask again")
    home = ensure_warehouse()
    os.execve(  # noqa: S606  # this process becomes Airflow's, whose exit code is then ours
        sys.executable, [sys.executable, "-m", "airflow", *context.args], airflow_config.environment(home)
    )
