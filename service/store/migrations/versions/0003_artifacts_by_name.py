"""Artifacts of a project by name: how a job finds what an earlier one computed"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_artifacts_project_kind_name", "artifacts", ["project", "kind", "name"])


def downgrade() -> None:
    op.drop_index("ix_artifacts_project_kind_name", "artifacts")
