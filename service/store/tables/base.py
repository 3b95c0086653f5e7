"""What all tables share."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, MetaData, String
from sqlalchemy.orm import DeclarativeBase

from service.store.types import Json, UtcDateTime

# ids are a prefix of four characters and a ULID of 26
Id = String(30)
Digest = String(64)


class Base(DeclarativeBase):
    """Named constraints, so that a migration can find them again; plain types by annotation."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime(),
        dict[str, Any]: Json,
        list[Any]: Json,
        list[str]: Json,
        int: BigInteger(),
    }


def one_of(column: str, values: tuple[str, ...]) -> str:
    """The text of a CHECK that holds `column` to a closed set of ours."""
    return f"{column} IN ({', '.join(repr(value) for value in values)})"
