"""Times in queries."""

from datetime import UTC, datetime

from service.errors import Invalid


def in_utc(name: str, moment: datetime | None) -> datetime | None:
    """The query's field `name` in UTC. Raises Invalid without an offset, and where UTC has no such
    year."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise Invalid.at(f"#/query/{name}", "needs an offset, such as Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise Invalid.at(f"#/query/{name}", "is out of range") from None
