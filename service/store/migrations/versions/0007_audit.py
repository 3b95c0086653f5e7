"""The audit log, and keys that follow another"""

import sqlalchemy as sa
from alembic import op

from service.store.types import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.String(length=30), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("project", sa.String(length=63), nullable=True),
        sa.Column("key_id", sa.String(length=30), nullable=True),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("target", sa.String(length=255), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("code", sa.String(length=64), nullable=True),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("address", sa.String(length=64), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('done', 'unchanged', 'failed', 'refused')", name=op.f("ck_audit_outcome")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_project_id"), "audit", ["project", "id"])
    op.create_index(op.f("ix_audit_key_id_id"), "audit", ["key_id", "id"])
    op.create_index(op.f("ix_audit_target_id"), "audit", ["target", "id"])
    op.add_column("keys", sa.Column("rotated_to", sa.String(length=30), nullable=True))


def downgrade() -> None:
    op.drop_column("keys", "rotated_to")
    op.drop_table("audit")
