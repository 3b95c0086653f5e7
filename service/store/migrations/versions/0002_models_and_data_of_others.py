"""Models and data in other people's formats"""

from typing import Any, cast

import sqlalchemy as sa
from alembic import op

from service.store.types import Json

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_JSON = cast("sa.types.TypeEngine[Any]", Json)
# What an upload may have to say itself, so that it is not known before its check.
_FOUND_BY_THE_CHECK: dict[str, sa.types.TypeEngine[Any]] = {
    "architecture": sa.String(length=128),
    "classes": sa.Integer(),
    "input_size": _JSON,
    "normalisation": _JSON,
}


def upgrade() -> None:
    with op.batch_alter_table("models") as batch_op:
        batch_op.add_column(sa.Column("source", sa.String(length=16), nullable=True))
        batch_op.add_column(sa.Column("notes", Json, nullable=False, server_default="[]"))
        for name, kind in _FOUND_BY_THE_CHECK.items():
            batch_op.alter_column(name, existing_type=kind, nullable=True)
    with op.batch_alter_table("models") as batch_op:
        batch_op.alter_column("notes", existing_type=_JSON, server_default=None)
    with op.batch_alter_table("datasets") as batch_op:
        batch_op.add_column(
            sa.Column("undecodable_share", sa.Double(), nullable=False, server_default="0.01")
        )
        batch_op.add_column(sa.Column("source", sa.String(length=63), nullable=True))
        batch_op.add_column(sa.Column("path", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("findings", Json, nullable=True))
        batch_op.add_column(sa.Column("contact_sheet_sha256", sa.String(length=64), nullable=True))
    with op.batch_alter_table("datasets") as batch_op:
        batch_op.alter_column("undecodable_share", existing_type=sa.Double(), server_default=None)
        batch_op.create_index(
            batch_op.f("ix_datasets_contact_sheet_sha256"), ["contact_sheet_sha256"], unique=False
        )
