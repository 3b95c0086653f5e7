"""Refusals by their code: which exception an answer becomes. docs/errors.md explains the codes.

Each class stands below that of its status, so that both can be caught. `modelpress.errors` is this
module: with what it imports it has every exception of the SDK.
"""

from collections.abc import Mapping
from typing import Final

import httpx2
from pydantic import ValidationError

from service.client.errors import (
    ApiError as ApiError,
)
from service.client.errors import (
    BadRequest as BadRequest,
)
from service.client.errors import (
    ClientError as ClientError,
)
from service.client.errors import (
    Conflict as Conflict,
)
from service.client.errors import (
    DigestMismatch as DigestMismatch,
)
from service.client.errors import (
    Forbidden as Forbidden,
)
from service.client.errors import (
    Gone as Gone,
)
from service.client.errors import (
    Internal as Internal,
)
from service.client.errors import (
    Invalid as Invalid,
)
from service.client.errors import (
    JobCancelled as JobCancelled,
)
from service.client.errors import (
    JobEnded as JobEnded,
)
from service.client.errors import (
    JobFailed as JobFailed,
)
from service.client.errors import (
    NoSpace as NoSpace,
)
from service.client.errors import (
    NotFound as NotFound,
)
from service.client.errors import (
    RateLimited as RateLimited,
)
from service.client.errors import (
    TooLarge as TooLarge,
)
from service.client.errors import (
    Unauthorized as Unauthorized,
)
from service.client.errors import (
    Unavailable as Unavailable,
)
from service.client.errors import (
    UnexpectedAnswer as UnexpectedAnswer,
)
from service.client.errors import (
    Unreachable as Unreachable,
)
from service.client.errors import (
    UnsafeArchive as UnsafeArchive,
)
from service.client.errors import (
    Unsupported as Unsupported,
)
from service.contract.wire import Problem


class NotJson(BadRequest):
    """The body is not JSON."""


class TooDeep(BadRequest):
    """The JSON is nested deeper than is read."""


class MisplacedKey(BadRequest):
    """A key stands where it would be stored or logged."""


class BadDigest(BadRequest):
    """`Repr-Digest` is not as RFC 9530 has it."""


class UploadDamaged(BadRequest):
    """The bytes that came are not those announced."""


class BadLength(BadRequest):
    """The body is longer than `Content-Length`."""


class UploadIncomplete(BadRequest):
    """The body broke off. Nothing was kept."""


class BadName(BadRequest):
    """A file's name has slashes."""


class MethodNotAllowed(BadRequest):
    """The path is there, the method is not: the service is older, or newer."""


class NotAcceptable(BadRequest):
    """There is no such representation."""


class LengthRequired(BadRequest):
    """The body came without `Content-Length`."""


class AddressTooLong(BadRequest):
    """The path or the query is longer than is taken."""


class BadRange(BadRequest):
    """The range begins behind the end."""


class HeadersTooLarge(BadRequest):
    """More headers, or longer ones, than are taken."""


class InsufficientScope(Forbidden):
    """The key lacks `write` or `admin`."""


class CrossSite(Forbidden):
    """A cookie came from another site's page."""


class NoSuchRoute(NotFound):
    """There is no such path: the service is older, or newer."""


class FormatNotAvailable(NotFound):
    """The model has no such format; the message lists those it has."""


class InvalidState(Conflict):
    """The job's state forbids it."""


class NotFinished(Conflict):
    """The job has no report, model or figures yet."""


class NotReady(Conflict):
    """The model has not been checked, or was rejected."""


class NotRetryable(Conflict):
    """Only a failed or cancelled job is retried."""


class FileExists(Conflict):
    """A name is written once, and other bytes have it."""


class WrongOffset(Conflict):
    """A part does not begin where the last one ended."""


class UploadBusy(Conflict):
    """Another request is sending a part."""


class UploadLost(Conflict):
    """The parts are gone: begin again."""


class IdempotencyInFlight(Conflict):
    """The first request with this key has not been answered yet."""


class WebhookDisabled(Conflict):
    """Enable the webhook first."""


class UnsupportedWeights(Unsupported):
    """A pickled module, TorchScript, `.pt2` and the like."""


class UnsupportedDatasetFile(Unsupported):
    """Not of the `format` that was named."""


class ConflictingTargets(Invalid):
    """No network keeps these targets."""


class IdempotencyMismatch(Invalid):
    """The key was used with another body."""


class UnknownDataset(Invalid):
    """No built-in dataset has that name."""


class UnknownReference(Invalid):
    """The spec names a job, model or dataset that is not there."""


class UnusableReference(Invalid):
    """What is named was rejected, failed or makes no model."""


class ImpossibleCombination(Invalid):
    """Each field is one that is taken; together they make no sense."""


class UnknownArchitecture(Invalid):
    """Nobody knows an architecture of that name, or it takes no such option."""


class ExpiryInThePast(Invalid):
    """A key ends in the future."""


class UnknownFile(Invalid):
    """No file of that name was uploaded."""


class UnknownSource(Invalid):
    """The operator declared no source of that name."""


class BadSourcePath(Invalid):
    """The path leads out of its source."""


class WebhookUrlNotAllowed(Invalid):
    """Messages may not go to that URL."""


class QuotaExceeded(RateLimited):
    """The project has as many jobs waiting, or bytes stored, as it may."""


class BeingDrawn(Unavailable):
    """Another request draws this page, or several draw others."""


BY_CODE: Final[Mapping[str, type[ApiError]]] = {
    "bad_request": BadRequest,
    "unauthorized": Unauthorized,
    "not_found": NotFound,
    "conflict": Conflict,
    "gone": Gone,
    "too_large": TooLarge,
    "unsupported_media_type": Unsupported,
    "invalid": Invalid,
    "rate_limited": RateLimited,
    "internal": Internal,
    "unavailable": Unavailable,
    "no_space": NoSpace,
    "error": ApiError,
    "not_json": NotJson,
    "too_deep": TooDeep,
    "misplaced_key": MisplacedKey,
    "bad_digest": BadDigest,
    "digest_mismatch": UploadDamaged,
    "bad_length": BadLength,
    "incomplete": UploadIncomplete,
    "bad_name": BadName,
    "method_not_allowed": MethodNotAllowed,
    "not_acceptable": NotAcceptable,
    "length_required": LengthRequired,
    "address_too_long": AddressTooLong,
    "range_not_satisfiable": BadRange,
    "headers_too_large": HeadersTooLarge,
    "insufficient_scope": InsufficientScope,
    "csrf": CrossSite,
    "no_such_route": NoSuchRoute,
    "format_not_available": FormatNotAvailable,
    "invalid_state": InvalidState,
    "not_finished": NotFinished,
    "not_ready": NotReady,
    "not_retryable": NotRetryable,
    "file_exists": FileExists,
    "wrong_offset": WrongOffset,
    "upload_busy": UploadBusy,
    "upload_lost": UploadLost,
    "idempotency_in_flight": IdempotencyInFlight,
    "webhook_disabled": WebhookDisabled,
    "unsupported_weights": UnsupportedWeights,
    "unsupported_dataset_file": UnsupportedDatasetFile,
    "conflicting_targets": ConflictingTargets,
    "idempotency_mismatch": IdempotencyMismatch,
    "unknown_dataset": UnknownDataset,
    "unknown_reference": UnknownReference,
    "unusable_reference": UnusableReference,
    "impossible_combination": ImpossibleCombination,
    "unknown_architecture": UnknownArchitecture,
    "expiry_in_the_past": ExpiryInThePast,
    "unknown_file": UnknownFile,
    "unknown_source": UnknownSource,
    "bad_source_path": BadSourcePath,
    "webhook_url_not_allowed": WebhookUrlNotAllowed,
    "quota_exceeded": QuotaExceeded,
    "being_drawn": BeingDrawn,
}

_BY_STATUS: Final[Mapping[int, type[ApiError]]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: TooLarge,
    415: Unsupported,
    422: Invalid,
    429: RateLimited,
    500: Internal,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
    507: NoSpace,
}


def error_of(response: httpx2.Response) -> ApiError:
    """The exception for an answer that is not a success; its body must have been read.

    A code that is not known here, of a newer service or of a proxy, falls back to the status.
    """
    problem = _problem_of(response)
    by_status = _BY_STATUS.get(problem.status, BadRequest if problem.status < 500 else ApiError)
    return BY_CODE.get(problem.code, by_status)(problem)


def _problem_of(response: httpx2.Response) -> Problem:
    if "json" in response.headers.get("content-type", ""):
        try:
            return Problem.model_validate_json(response.content, extra="ignore")
        except ValidationError:
            pass  # some proxy's own JSON
    return Problem(
        type="about:blank",
        title=response.reason_phrase or "Error",
        status=response.status_code,
        detail=f"the answer was {response.status_code} {response.reason_phrase}".rstrip(),
        instance=response.request.url.path,
        code=f"http_{response.status_code}",
        request_id=response.headers.get("x-request-id", ""),
    )
