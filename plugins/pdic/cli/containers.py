"""`pdic containers`: what docker-compose.yml runs once. Not for people: `make init` and docs/deploy.md are."""

from __future__ import annotations

from typing import Annotated

import typer

from pdic import settings
from pdic.cli.app import containers_app
from pdic.cli.output import tell


@containers_app.command()
def check() -> None:
    """Refuse to start where a secret is missing or empty."""
    from pdic.containers import secret_files

    secret_files.check(settings.secrets_folder())
    tell("secrets: all there")


@containers_app.command()
def init() -> None:
    """Make databases, logins, Airflow's pools and its admin."""
    from pdic.containers import jobs

    jobs.initialise(_tell)


@containers_app.command()
def demo(
    citizens: Annotated[int, typer.Option(min=500)] = 20_000,
    seed: Annotated[int, typer.Option()] = 44,
) -> None:
    """Fill the demo's sector databases, and ask for first loads."""
    from pdic.containers import jobs

    jobs.fill_demo(citizens, seed, _tell)


@containers_app.command("airflow-config")
def airflow_config() -> None:
    """Print the image's airflow.cfg."""
    from pdic.containers import jobs

    typer.echo(jobs.airflow_config())


def _tell(step: str) -> None:
    tell(step)
