"""Comparisons: models side by side, by what finished jobs have measured."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from service.client.errors import Unavailable
from service.client.http import Http, read_as
from service.client.jobs import ReportFormat
from service.client.kinds import plain
from service.client.references import ModelLike, model_reference
from service.contract import comparisons as contract
from service.contract.prune import Targets
from service.contract.wire import Page

_DRAWING_S: Final = 120.0  # a page is drawn when it is first asked for
_BEING_DRAWN: Final = "being_drawn"


class Comparison:
    """A comparison; it never changes."""

    def __init__(self, http: Http, data: contract.Comparison) -> None:
        self._http = http
        self.data = data

    def __repr__(self) -> str:
        return f"<Comparison {self.id} of {len(self.data.values.models)} models>"

    @property
    def id(self) -> str:
        """The comparison's id."""
        return self.data.id

    @property
    def values(self) -> contract.ComparisonValues:
        """Every figure: what tables and figures are drawn from."""
        return self.data.values

    def report(self, format: ReportFormat = "html") -> bytes:  # noqa: A002  # the API's word
        """The comparison as a file's bytes. Pages and pictures take some seconds the first time,
        and up to two minutes while others are being drawn."""
        until = time.monotonic() + _DRAWING_S
        while True:
            try:
                return self._http.request(
                    "GET",
                    f"/v1/comparisons/{self.id}",
                    params={"format": format},
                    timeout_s=self._http.timeout_s + _DRAWING_S,
                ).content
            except Unavailable as error:  # after as many tries as any request has
                if error.code != _BEING_DRAWN or time.monotonic() > until:
                    raise


class Comparisons:
    """The comparisons of the key's project."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def create(
        self,
        models: Sequence[ModelLike],
        *,
        baseline: ModelLike | None = None,
        targets: Targets | Mapping[str, Any] | None = None,
        axes: Sequence[contract.Axis] | None = None,
        name: str | None = None,
    ) -> Comparison:
        """Compare models by what is known of them; nothing is run. A job stands for the model it
        made, a benchmark for all that it measured.

        Raises `NotFound`, or `Conflict` for a job that is not finished.
        """
        asked = {
            "models": [model_reference(model) for model in models],
            "baseline": None if baseline is None else model_reference(baseline),
            "targets": plain(targets),
            "axes": None if axes is None else list(axes),
            "name": name,
        }
        given = {field: value for field, value in asked.items() if value is not None}
        response = self._http.request("POST", "/v1/comparisons", json=given)
        return Comparison(self._http, read_as(contract.Comparison, response))

    def get(self, comparison_id: str) -> Comparison:
        """One comparison. Raises `NotFound`."""
        path, params = f"/v1/comparisons/{comparison_id}", {"format": "json"}
        return Comparison(self._http, self._http.get(contract.Comparison, path, params))

    def list(self, *, page_size: int = 100) -> Iterator[contract.ComparisonListed]:
        """What was asked and gained, newest first, fetched as it is reached; `get` has the rest."""
        kind, params = Page[contract.ComparisonListed], {"limit": page_size}
        yield from self._http.pages(kind, "/v1/comparisons", params)

    def delete(self, comparison_id: str) -> None:
        """Delete one with its pages. Raises `NotFound`."""
        self._http.request("DELETE", f"/v1/comparisons/{comparison_id}")
