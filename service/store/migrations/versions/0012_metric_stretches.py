"""The extremes of stretches of series, beside the points"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# 32 steps wide from the points, 1,024 steps wide from those.
_FILL = (
    """
    WITH parts AS (
        SELECT job_id, name, step / 32 * 32 AS start, 1 AS count, value AS lowest,
            step AS lowest_step, value AS highest, step AS highest_step
        FROM metric_points
    ),
    ends AS (
        SELECT job_id, name, start, sum(count) AS count, min(lowest) AS lowest,
            max(highest) AS highest
        FROM parts GROUP BY job_id, name, start
    )
    INSERT INTO metric_stretches
        (job_id, name, width, start, count, lowest, lowest_step, highest, highest_step)
    SELECT e.job_id, e.name, 32, e.start, e.count,
        e.lowest, min(CASE WHEN p.lowest = e.lowest THEN p.lowest_step END),
        e.highest, min(CASE WHEN p.highest = e.highest THEN p.highest_step END)
    FROM ends e
    JOIN parts p ON p.job_id = e.job_id AND p.name = e.name AND p.start = e.start
    GROUP BY e.job_id, e.name, e.start, e.count, e.lowest, e.highest
    """,
    """
    WITH parts AS (
        SELECT job_id, name, start / 1024 * 1024 AS start, count, lowest, lowest_step, highest,
            highest_step
        FROM metric_stretches WHERE width = 32
    ),
    ends AS (
        SELECT job_id, name, start, sum(count) AS count, min(lowest) AS lowest,
            max(highest) AS highest
        FROM parts GROUP BY job_id, name, start
    )
    INSERT INTO metric_stretches
        (job_id, name, width, start, count, lowest, lowest_step, highest, highest_step)
    SELECT e.job_id, e.name, 1024, e.start, e.count,
        e.lowest, min(CASE WHEN p.lowest = e.lowest THEN p.lowest_step END),
        e.highest, min(CASE WHEN p.highest = e.highest THEN p.highest_step END)
    FROM ends e
    JOIN parts p ON p.job_id = e.job_id AND p.name = e.name AND p.start = e.start
    GROUP BY e.job_id, e.name, e.start, e.count, e.lowest, e.highest
    """,
)


def upgrade() -> None:
    op.create_table(
        "metric_stretches",
        sa.Column("job_id", sa.String(length=30), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("width", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("lowest", sa.Double(), nullable=False),
        sa.Column("lowest_step", sa.BigInteger(), nullable=False),
        sa.Column("highest", sa.Double(), nullable=False),
        sa.Column("highest_step", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_metric_stretches_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint(
            "job_id", "name", "width", "start", name=op.f("pk_metric_stretches")
        ),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SET LOCAL statement_timeout = 0")  # there may be many points
    for statement in _FILL:
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("metric_stretches")
