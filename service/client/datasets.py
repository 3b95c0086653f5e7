"""Datasets: uploaded data, immutable once a worker has looked inside."""

from collections.abc import Iterator
from pathlib import Path

from service.client.checking import settled
from service.client.http import Http, read_as
from service.client.upload import Files, OnBytes
from service.contract.datasets import DatasetFormat, DatasetRead
from service.contract.wire import Page


class Dataset:
    """A dataset as last seen; `refresh` looks again."""

    def __init__(self, http: Http, data: DatasetRead) -> None:
        self._http = http
        self.data = data

    def __repr__(self) -> str:
        return f"<Dataset {self.id} {self.data.name} {self.data.status}>"

    @property
    def id(self) -> str:
        """The dataset's id."""
        return self.data.id

    def refresh(self) -> "Dataset":
        """Look again; returns itself."""
        self.data = self._http.get(DatasetRead, f"/v1/datasets/{self.id}")
        return self

    def delete(self) -> None:
        """Delete it. Raises `Conflict` while an unfinished job needs it."""
        self._http.request("DELETE", f"/v1/datasets/{self.id}")


class Datasets:
    """The datasets of the key's project. Built-in ones such as `digits` are not listed."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def get(self, dataset_id: str) -> Dataset:
        """One dataset. Raises `NotFound`."""
        return Dataset(self._http, self._http.get(DatasetRead, f"/v1/datasets/{dataset_id}"))

    def list(self, *, page_size: int = 100) -> Iterator[Dataset]:
        """Datasets, newest first, fetched as they are reached."""
        for data in self._http.pages(Page[DatasetRead], "/v1/datasets", {"limit": page_size}):
            yield Dataset(self._http, data)

    def register(
        self,
        path: str | Path,
        *,
        format: DatasetFormat | None = None,  # noqa: A002  # the API's word
        name: str | None = None,
        validation_share: float | None = None,
        image_size: int | None = None,
        seed: int | None = None,
        timeout: float = 60.0,
        on_bytes: OnBytes | None = None,
    ) -> Dataset:
        """Upload a file of data and register it; None leaves a field to the service's default.

        `format` follows from the suffix, .npz or .zip. Returns once a worker has looked inside:
        `data.status` is then `ready`, or `rejected` with `data.error`; or still `checking` after
        `timeout` seconds. A job may name it meanwhile.
        """
        path = Path(path)
        asked = {
            "format": format or _format_of(path),
            "name": name or path.stem,
            "validation_share": validation_share,
            "image_size": image_size,
            "seed": seed,
        }
        file = Files(self._http).put_by_content(path, on_bytes=on_bytes)
        given = {field: value for field, value in asked.items() if value is not None}
        response = self._http.request("POST", "/v1/datasets", json={**given, "file": file.name})
        dataset = Dataset(self._http, read_as(DatasetRead, response))
        settled(lambda: dataset.refresh().data.status, dataset.data.status, timeout)
        return dataset


def _format_of(path: Path) -> DatasetFormat:
    match path.suffix.lower():
        case ".npz":
            return "npz"
        case ".zip":
            return "image_zip"
        case suffix:
            raise ValueError(f"cannot tell the format from {suffix!r}; send .npz or .zip")
