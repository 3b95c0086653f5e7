"""HTTP with the habits of this service: bearer key, problems as exceptions, safe retries."""

import ipaddress
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, Final, TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from service.client.errors import ApiError, UnexpectedAnswer, Unreachable
from service.client.problems import IdempotencyInFlight, QuotaExceeded, error_of
from service.client.retry import Retry, Tries, retry_after_s
from service.contract.wire import Page

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

Params = Mapping[str, str | int | Sequence[str] | None]
Body = Callable[[], BinaryIO]
"""Opens the body anew for every try; whoever sends it closes it."""

_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_PASSING: Final = frozenset({429, 502, 503, 504})
_NOTHING_SENT: Final = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
_NOT_OURS: Final = (httpx2.TooManyRedirects, httpx2.DecodingError)


class Http:
    """A connection pool to one service. Safe to share between threads."""

    def __init__(
        self,
        url: str,
        key: str | None,
        *,
        timeout_s: float,
        transport: httpx2.BaseTransport | None = None,
        retry: Retry = Retry(),  # noqa: B008  # frozen
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"url must start with http:// or https://, got {url!r}")
        self.url = url.rstrip("/")
        self.timeout_s = timeout_s
        self.retry = retry
        self._client = httpx2.Client(
            base_url=self.url,
            headers={"authorization": f"Bearer {key}"} if key else {},
            timeout=httpx2.Timeout(timeout_s, connect=min(timeout_s, 5.0)),
            transport=transport,
            follow_redirects=True,  # the key is not sent on to another origin
            trust_env=not is_loopback(httpx2.URL(self.url).host),
        )

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        json: object = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
        timeout_s: float | None = None,
        also: Collection[int] = (),
    ) -> httpx2.Response:
        """The answer, read to its end. Raises `ApiError`, `Unreachable` or `UnexpectedAnswer`.

        `repeatable` says whether the request may reach the service twice; by default that follows
        from the method. One that was never sent is always tried again. `also` are statuses that
        are answers besides the successful ones.
        """
        if repeatable is None:
            repeatable = method in _IDEMPOTENT
        tries = Tries(self.retry)
        while True:
            try:
                response = self._send(method, path, params, json, body, headers, timeout_s)
            except httpx2.TransportError as error:
                if (repeatable or isinstance(error, _NOTHING_SENT)) and tries.again():
                    continue
                raise Unreachable(self.url, error) from error
            except _NOT_OURS as error:
                raise UnexpectedAnswer(self.url, str(error)) from error
            if response.is_success or response.status_code in also:
                return response
            problem = error_of(response)
            if not (_will_pass(problem, repeatable) and tries.again(retry_after_s(response))):
                raise problem

    def _send(
        self,
        method: str,
        path: str,
        params: Params | None,
        json: object,
        body: Body | None,
        headers: Mapping[str, str] | None,
        timeout_s: float | None,
    ) -> httpx2.Response:
        content = body() if body else None
        try:
            return self._client.request(
                method,
                path,
                params=_present(params),
                json=json,
                content=content,
                headers=headers,
                timeout=httpx2.USE_CLIENT_DEFAULT if timeout_s is None else timeout_s,
            )
        finally:
            if content is not None:
                content.close()

    @contextmanager
    def stream(
        self,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        read_timeout_s: float | None = None,
    ) -> Iterator[httpx2.Response]:
        """One GET whose body the caller reads as it comes. Tried once: the caller resumes.

        Raises `ApiError` for an answer above 399, `UnexpectedAnswer` for one that cannot be
        followed, `httpx2.TransportError` when it breaks.
        """
        timeout = httpx2.Timeout(
            self.timeout_s, connect=min(self.timeout_s, 5.0), read=read_timeout_s or self.timeout_s
        )
        try:
            with self._client.stream(
                "GET", path, params=_present(params), headers=headers, timeout=timeout
            ) as response:
                if response.status_code >= 400:
                    response.read()
                    raise error_of(response)
                yield response
        except _NOT_OURS as error:
            raise UnexpectedAnswer(self.url, str(error)) from error

    def get(self, kind: type[M], path: str, params: Params | None = None) -> M:
        """A resource. Fields that a newer service added are passed over."""
        return read_as(kind, self.request("GET", path, params=params))

    def pages(self, kind: type[Page[T]], path: str, params: Params | None = None) -> Iterator[T]:
        """The items of a list, page after page, each fetched when it is reached."""
        after: str | None = None
        while True:
            page = self.get(kind, path, {**(params or {}), "after": after})
            yield from page.data
            if not page.has_more:
                return
            after = page.last_id


def read_as(kind: type[M], response: httpx2.Response) -> M:
    """The body of an answer as a value of the contract. Raises `UnexpectedAnswer`."""
    try:
        return kind.model_validate_json(response.content, extra="ignore")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        why = f"{where}: {first['msg']}" if where else first["msg"]
        raise UnexpectedAnswer(str(response.request.url), why) from error


def is_passing(error: ApiError) -> bool:
    """Whether the same request may well succeed a moment later."""
    return error.problem.status in _PASSING


def _will_pass(error: ApiError, repeatable: bool) -> bool:
    match error:
        case QuotaExceeded():  # until other jobs start, maybe for hours: the caller knows
            return False
        case IdempotencyInFlight():  # our own earlier try is still being served
            return repeatable
    if error.problem.status == 429:  # refused before it was looked at
        return True
    return repeatable and is_passing(error)


def _present(params: Params | None) -> dict[str, Any]:
    return {name: value for name, value in (params or {}).items() if value is not None}


def is_loopback(host: str) -> bool:
    """Such a host is never asked for through the environment's proxy."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
