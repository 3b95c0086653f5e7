"""Comparisons, and their pages and pictures"""

import sqlalchemy as sa
from alembic import op

from service.store.types import Json, UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "comparisons",
        sa.Column("id", sa.String(length=30), nullable=False),
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("body", Json, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comparisons")),
    )
    op.create_index(op.f("ix_comparisons_project_id"), "comparisons", ["project", "id"])
    op.create_table(
        "comparison_files",
        sa.Column("comparison_id", sa.String(length=30), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["comparison_id"],
            ["comparisons.id"],
            name=op.f("fk_comparison_files_comparison_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("comparison_id", "name", name=op.f("pk_comparison_files")),
    )
    op.create_index(op.f("ix_comparison_files_sha256"), "comparison_files", ["sha256"])


def downgrade() -> None:
    op.drop_table("comparison_files")
    op.drop_table("comparisons")
