"""Bring the warehouse to the newest migration (alembic)."""

from __future__ import annotations

from pathlib import Path

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(admin_uri: str) -> None:
    """Apply the migrations that the warehouse lacks. Safe to repeat; runs as the owner of the database."""
    # Here, not above: every load imports this package, and alembic with SQLAlchemy is half of what a load would import.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["uri"] = admin_uri
    command.upgrade(config, "head")
