"""The database, for the few commands that reach it without the service."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from service.cli.console import REFUSED, complain


@contextmanager
def said_in_words() -> Iterator[None]:
    """What the database refuses within it is said on standard error; exit code 1, or 2 for a URL
    that cannot be one."""
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    from service.store.errors import DatabaseUnavailable

    try:
        yield
    except (ArgumentError, ValueError) as error:
        raise typer.BadParameter(f"MODELPRESS_DATABASE_URL is no database URL: {error}") from error
    except (DatabaseUnavailable, SQLAlchemyError) as error:
        said = str(getattr(error, "orig", None) or error).partition("\n")[0]
        complain(f"the database does not answer: {said}\nCheck MODELPRESS_DATABASE_URL.")
        raise typer.Exit(REFUSED) from error
