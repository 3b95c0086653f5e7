"""Limits of projects, chores that one process does, and what a fair claim reads"""

import sqlalchemy as sa
from alembic import op

from service.store.types import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_QUEUED = sa.text("status = 'queued'")


def upgrade() -> None:
    op.create_table(
        "project_limits",
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("queued_jobs", sa.BigInteger(), nullable=True),
        sa.Column("running_jobs", sa.BigInteger(), nullable=True),
        sa.Column("stored_bytes", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("project", name=op.f("pk_project_limits")),
    )
    op.create_table(
        "chores",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_chores")),
    )
    # SQLite adds a column in place when it has a default, and so keeps what refers to the table
    op.add_column(
        "jobs", sa.Column("exclusive", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.create_index(
        "ix_jobs_share",
        "jobs",
        ["project", "status", "priority", "id"],
        postgresql_where=_QUEUED,
        sqlite_where=_QUEUED,
    )
    op.create_index(
        "ix_jobs_exclusive",
        "jobs",
        ["queued_at"],
        postgresql_where=sa.text("status = 'queued' AND exclusive"),
        sqlite_where=sa.text("status = 'queued' AND exclusive = 1"),
    )
    op.create_index("ix_jobs_project_started_at", "jobs", ["project", "started_at"])
    op.create_index("ix_jobs_finished_at", "jobs", ["finished_at"])


def downgrade() -> None:
    op.drop_index("ix_jobs_finished_at", "jobs")
    op.drop_index("ix_jobs_project_started_at", "jobs")
    op.drop_index("ix_jobs_exclusive", "jobs")
    op.drop_index("ix_jobs_share", "jobs")
    op.drop_column("jobs", "exclusive")
    op.drop_table("chores")
    op.drop_table("project_limits")
