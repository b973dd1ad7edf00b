"""Feeds: where their replies land before anything is read from them."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("""
    create schema landing authorization pdic_loader;
    comment on schema landing is 'Replies of feeds as they came, one table a batch, for the loader alone. Personal data.';

    create table landing.unreadable (
        batch_id bigint not null,
        page integer not null,
        position integer not null,
        columns text[] not null,
        record jsonb not null,
        key text[] not null,
        version text not null,
        primary key (batch_id, page, position)
    );
    comment on table landing.unreadable is 'Whole records with a value that is not of its type, until a newer version comes.';
    comment on column landing.unreadable.columns is 'The columns that could not be read; they are empty in quarantine.';
    alter table landing.unreadable owner to pdic_loader;
    """)
