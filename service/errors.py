"""What the service says no with.

ServiceError
├── BadRequest          400  the request itself is malformed
├── Unauthorized        401  no key, or none that is good
├── Forbidden           403  the key's scope is too small, or a page of another site asked
├── Missing             404  not there, as far as this project can see
├── NotAcceptable       406  no such representation
├── Clash               409  the thing's state, or another thing, forbids it
├── Gone                410  it was there; its bytes are not
├── LengthRequired      411  say how long it is
├── TooLarge            413  longer than is taken
├── AddressTooLong      414  so is the path or the query
├── Unsupported         415  not a format that is taken
├── BadRange            416  outside of the bytes there are
├── Invalid             422  understood, but wrong: with a pointer to each wrong field
├── TooMany             429  too many requests, or too many jobs
├── HeadersTooLarge     431  too many headers, or too long ones
├── Unavailable         503  something we need does not answer
└── NoSpace             507  no room left
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from service.contract.wire import ProblemItem


class ServiceError(Exception):
    """An answer that is not a success. `code` is for programs, the message for people."""

    status: ClassVar[int]
    title: ClassVar[str]
    default_code: ClassVar[str]

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        errors: Sequence[ProblemItem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


class BadRequest(ServiceError):
    status, title, default_code = 400, "Bad request", "bad_request"


class Unauthorized(ServiceError):
    status, title, default_code = 401, "Unauthorized", "unauthorized"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Bearer realm="modelpress"'})


class Forbidden(ServiceError):
    status, title, default_code = 403, "Forbidden", "insufficient_scope"


class Missing(ServiceError):
    status, title, default_code = 404, "Not found", "not_found"


class NotAcceptable(ServiceError):
    status, title, default_code = 406, "Not acceptable", "not_acceptable"


class Clash(ServiceError):
    status, title, default_code = 409, "Conflict", "conflict"


class Gone(ServiceError):
    status, title, default_code = 410, "Gone", "gone"


class LengthRequired(ServiceError):
    status, title, default_code = 411, "Length required", "length_required"


class TooLarge(ServiceError):
    status, title, default_code = 413, "Too large", "too_large"


class AddressTooLong(ServiceError):
    status, title, default_code = 414, "URI too long", "address_too_long"


class Unsupported(ServiceError):
    status, title, default_code = 415, "Unsupported media type", "unsupported_media_type"


class BadRange(ServiceError):
    status, title, default_code = 416, "Range not satisfiable", "range_not_satisfiable"


class Invalid(ServiceError):
    status, title, default_code = 422, "Invalid", "invalid"

    @classmethod
    def at(cls, pointer: str, detail: str, code: str | None = None) -> "Invalid":
        """One wrong field."""
        return cls(detail, code=code, errors=(ProblemItem(detail=detail, pointer=pointer),))


class Impossible(Invalid):
    """Each field is one that is taken; together they make no sense."""

    status, title, default_code = 422, "Invalid", "impossible_combination"


class UnknownArchitecture(Invalid):
    status, title, default_code = 422, "Invalid", "unknown_architecture"


class TooMany(ServiceError):
    status, title, default_code = 429, "Too many requests", "rate_limited"

    def __init__(self, detail: str, *, code: str | None = None, retry_after_s: int) -> None:
        super().__init__(detail, code=code, headers={"Retry-After": str(retry_after_s)})


class HeadersTooLarge(ServiceError):
    status, title, default_code = 431, "Request header fields too large", "headers_too_large"


class Unavailable(ServiceError):
    status, title, default_code = 503, "Unavailable", "unavailable"

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail, code=code, headers={"Retry-After": "2"})


class NoSpace(ServiceError):
    status, title, default_code = 507, "Insufficient storage", "no_space"
