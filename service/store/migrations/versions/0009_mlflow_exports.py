"""Jobs on their way to MLflow, and where jobs came from"""

import sqlalchemy as sa
from alembic import op

from service.store.types import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "mlflow_exports",
        sa.Column("job_id", sa.String(length=30), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", UtcDateTime(), nullable=False),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'succeeded', 'failed')", name=op.f("ck_mlflow_exports_status")
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_mlflow_exports_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_mlflow_exports")),
    )
    for name, column, status in (
        ("ix_mlflow_exports_due", "next_try_at", "pending"),
        ("ix_mlflow_exports_failed", "job_id", "failed"),
    ):
        condition = sa.text(f"status = '{status}'")
        op.create_index(
            name,
            "mlflow_exports",
            [column],
            postgresql_where=condition,
            sqlite_where=condition,
        )
    op.add_column("jobs", sa.Column("request_id", sa.String(length=64), nullable=True))
    op.add_column("jobs", sa.Column("traceparent", sa.String(length=64), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "traceparent")
    op.drop_column("jobs", "request_id")
    op.drop_table("mlflow_exports")
