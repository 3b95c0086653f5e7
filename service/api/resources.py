"""What models and datasets share: an uploaded file becomes a resource that a worker checks."""

import time
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Final, Protocol, TypeVar

from sqlalchemy.orm import Session

from service.errors import Invalid
from service.store.errors import NotFound
from service.store.files import FileStore
from service.store.session import Database
from service.store.tables import FileRow

_POLL_S: Final = 0.1


class Checked(Protocol):
    """A resource as it is shown."""

    @property
    def status(self) -> str: ...


Read = TypeVar("Read", bound=Checked)


def uploaded(session: Session, project: str, name: str) -> FileRow:
    """The file that a request names. Invalid if it was not uploaded."""
    try:
        return FileStore(session).get(project, name)
    except NotFound:
        raise Invalid.at(
            "#/file", f"no file {name!r}; PUT /v1/files/{{name}} first", "unknown_file"
        ) from None


def name_of(given: str | None, file: str) -> str:
    """What to call it: as asked, else the file's name without its suffix."""
    return given or PurePosixPath(file).stem or file


def wait_until_checked(database: Database, read: Callable[[Session], Read], wait_s: float) -> Read:
    """The resource, as soon as it is checked or the time is up."""
    deadline = time.monotonic() + wait_s
    while True:
        with database.read() as session:
            shown = read(session)
        if shown.status != "checking" or time.monotonic() >= deadline:
            return shown
        time.sleep(_POLL_S)
