"""What the service says when it cannot do as asked. Every class knows its status, code and title.

ServiceError
├── MalformedRequest       400 malformed_request
├── DigestMismatch         400 digest_mismatch         the bytes are not the ones promised
├── Unauthorized           401 unauthorized
├── InsufficientScope      403 insufficient_scope
├── NotFound               404 not_found               also what belongs to another project
├── FormatNotAvailable     404 format_not_available
├── MethodNotAllowed       405 method_not_allowed
├── NotAcceptable          406 not_acceptable
├── Conflict               409 conflict                something else still needs it
│   ├── InvalidState       409 invalid_state           the job's state does not allow it
│   ├── NotReady           409 not_ready               what is asked for does not exist yet
│   ├── WrongOffset        409 wrong_offset            of a resumable upload
│   └── UploadBusy         409 upload_busy             another request is writing to it
├── Gone                   410 gone                    the row is there, its bytes are not
├── LengthRequired         411 length_required
├── TooLarge               413 too_large
├── UnsupportedMediaType   415 unsupported_media_type
├── RangeNotSatisfiable    416 range_not_satisfiable
├── InvalidRequest         422 invalid_request         with a pointer for each wrong field
│   └── InvalidFile        422 invalid_file            an uploaded file is not what it should be
├── IdempotencyMismatch    422 idempotency_mismatch    the key was used for another request
├── Internal               500 internal                a defect of ours; the log has the rest
├── Unavailable            503 unavailable             database or blob store do not answer
└── StorageFull            507 storage_full
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field; `pointer` is a JSON pointer into the request, as `#/loss/alpha`."""

    pointer: str
    detail: str


class ServiceError(Exception):
    """Root of what is answered as a problem. `headers` go with the answer."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"

    def __init__(
        self,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


class MalformedRequest(ServiceError):
    status, code, title = 400, "malformed_request", "Malformed request"


class DigestMismatch(ServiceError):
    status, code, title = 400, "digest_mismatch", "Digest mismatch"


class Unauthorized(ServiceError):
    status, code, title = 401, "unauthorized", "Unauthorized"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Bearer realm="modelpress"'})


class InsufficientScope(ServiceError):
    status, code, title = 403, "insufficient_scope", "Insufficient scope"

    def __init__(self, scope: str) -> None:
        challenge = f'Bearer realm="modelpress", error="insufficient_scope", scope="{scope}"'
        super().__init__(
            f"this needs a key with the scope `{scope}`", headers={"WWW-Authenticate": challenge}
        )


class NotFound(ServiceError):
    status, code, title = 404, "not_found", "Not found"


class FormatNotAvailable(ServiceError):
    status, code, title = 404, "format_not_available", "Format not available"


class MethodNotAllowed(ServiceError):
    status, code, title = 405, "method_not_allowed", "Method not allowed"


class NotAcceptable(ServiceError):
    status, code, title = 406, "not_acceptable", "Not acceptable"


class Conflict(ServiceError):
    status, code, title = 409, "conflict", "Conflict"


class InvalidState(Conflict):
    code, title = "invalid_state", "Not possible in this state"


class NotReady(Conflict):
    code, title = "not_ready", "Not ready yet"


class WrongOffset(Conflict):
    code, title = "wrong_offset", "Wrong upload offset"

    def __init__(self, offset: int) -> None:
        super().__init__(
            f"the upload stands at offset {offset}", headers={"Upload-Offset": str(offset)}
        )


class UploadBusy(Conflict):
    code, title = "upload_busy", "Upload in use"


class Gone(ServiceError):
    status, code, title = 410, "gone", "Gone"


class LengthRequired(ServiceError):
    status, code, title = 411, "length_required", "Length required"


class TooLarge(ServiceError):
    status, code, title = 413, "too_large", "Too large"


class UnsupportedMediaType(ServiceError):
    status, code, title = 415, "unsupported_media_type", "Unsupported media type"


class RangeNotSatisfiable(ServiceError):
    status, code, title = 416, "range_not_satisfiable", "Range not satisfiable"

    def __init__(self, size: int) -> None:
        super().__init__(f"there are {size} bytes", headers={"Content-Range": f"bytes */{size}"})


class InvalidRequest(ServiceError):
    status, code, title = 422, "invalid_request", "Invalid request"

    @classmethod
    def at(cls, pointer: str, detail: str) -> "InvalidRequest":
        """The error of one field."""
        return cls(detail, errors=(FieldError(pointer, detail),))


class InvalidFile(InvalidRequest):
    code, title = "invalid_file", "Invalid file"


class IdempotencyMismatch(ServiceError):
    status, code, title = 422, "idempotency_mismatch", "Idempotency-Key used for another request"


class Internal(ServiceError):
    status, code, title = 500, "internal", "Internal error"


class Unavailable(ServiceError):
    status, code, title = 503, "unavailable", "Unavailable"


class StorageFull(ServiceError):
    status, code, title = 507, "storage_full", "Storage full"


def all_errors(root: type[ServiceError] = ServiceError) -> Iterator[type[ServiceError]]:
    """Every class below `root`, as drawn above."""
    for child in root.__subclasses__():
        yield child
        yield from all_errors(child)
