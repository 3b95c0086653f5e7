"""SQL that the two databases spell differently."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Float, Table, literal_column
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Mapped, Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from service.store.session import dialect_of


class seconds_between(FunctionElement[float]):  # noqa: N801 - reads as the function it is
    """Seconds from the first moment to the second; 0 if the clock went back meanwhile."""

    type = Float()
    inherit_cache = True


@compiles(seconds_between, "sqlite")
def _seconds_on_sqlite(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    start, end = (compiler.process(clause, **options) for clause in element.clauses)
    # SQLite counts whole milliseconds; days in floating point blur them
    return f"max(0.0, round((julianday({end}) - julianday({start})) * 86400.0, 3))"


@compiles(seconds_between, "postgresql")
def _seconds_on_postgres(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    start, end = (compiler.process(clause, **options) for clause in element.clauses)
    return (
        f"greatest(0.0, extract(epoch FROM CAST({end} AS timestamptz) - {start}))::double precision"
    )


def upsert(
    session: Session,
    row: type[DeclarativeBase],
    rows: Sequence[Mapping[str, Any]],
    *,
    keep: bool = False,
) -> int:
    """Insert `rows` (all with the same columns); where the primary key is taken, replace the
    other columns, or with `keep` leave the old row. Returns how many rows were written.
    """
    if not rows:
        return 0
    table = row.__table__
    assert isinstance(table, Table)
    dialect = sqlite if dialect_of(session) == "sqlite" else postgresql
    statement = dialect.insert(table).values([dict(item) for item in rows])
    keys = [column.name for column in table.primary_key]
    if keep:
        statement = statement.on_conflict_do_nothing(index_elements=keys)
    else:
        new: dict[str, ColumnElement[Any]] = {
            name: statement.excluded[name] for name in rows[0] if name not in keys
        }
        statement = statement.on_conflict_do_update(index_elements=keys, set_=new)
    written = session.execute(statement.returning(*table.primary_key.columns)).all()
    return len(written)


def spelled_out(column: Mapped[Any], values: Collection[str]) -> ColumnElement[bool]:
    """Whether `column` has one of our own `values`, written into the text of the query.

    Only so is a partial index on it used: its condition cannot be compared with a parameter.
    """
    literals: list[ColumnElement[str]] = [literal_column(f"'{value}'") for value in sorted(values)]
    return column == literals[0] if len(literals) == 1 else column.in_(literals)


def contains(text: str) -> str:
    """A LIKE pattern (escape character `\\`) for values that have `text` in them."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
