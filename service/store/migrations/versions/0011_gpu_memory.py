"""Memory of a worker's GPUs, as its heartbeat tells it"""

import sqlalchemy as sa
from alembic import op

from service.store.types import Json

revision = "0011"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("gpu_memory", Json, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("workers") as batch_op:
        batch_op.drop_column("gpu_memory")
