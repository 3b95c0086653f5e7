"""What models and datasets share: an uploaded file becomes a resource that a worker checks."""

from pathlib import PurePosixPath

from sqlalchemy.orm import Session

from service.errors import Invalid
from service.store.errors import NotFound
from service.store.files import FileStore
from service.store.tables import FileRow


def uploaded(session: Session, project: str, name: str) -> FileRow:
    """The file that a request names. Invalid if it was not uploaded."""
    try:
        return FileStore(session).get(project, name)
    except NotFound:
        raise Invalid.at(
            "#/file", f"no file {name!r}; PUT /v1/files/{{name}} first", "unknown_file"
        ) from None


def hold_upload(session: Session, project: str, name: str, sha256: str) -> None:
    """Make sure, before a row names the file's bytes, that they are still the file's and stay so
    until the transaction ends. Invalid if the file is gone, or another has its name."""
    try:
        held = FileStore(session).hold(project, name)
    except NotFound:
        held = None
    if held is None or held.sha256 != sha256:
        raise Invalid.at("#/file", f"{name!r} was deleted meanwhile", "unknown_file")


def name_of(given: str | None, file: str) -> str:
    """What to call it: as asked, else the file's name without its suffix."""
    return given or PurePosixPath(file).stem or file
