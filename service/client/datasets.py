"""Datasets: uploaded data, immutable once a worker has looked inside."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from service.client.checking import settled
from service.client.data_folder import format_of, zip_data
from service.client.download import OnBytes, download
from service.client.http import Http, read_as
from service.client.progress import chosen
from service.client.upload import Files
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

    def contact_sheet(self, path: str | Path) -> Path:
        """Download the picture of some of its images, a PNG. Raises `NotFound` if it has none."""
        return download(self._http, f"/v1/datasets/{self.id}/contact-sheet", Path(path))

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
        undecodable_share: float | None = None,
        seed: int | None = None,
        timeout: float = 60.0,
        progress: bool = False,
        on_bytes: OnBytes | None = None,
    ) -> Dataset:
        """Upload a file of data, or a folder, and register it; None leaves a field to the service.

        `format` follows from the suffix, and of a zip or folder from what is inside: parquet, a
        table beside images, or images alone. Returns once a worker has looked inside: `data.status`
        is then `ready`, or `rejected` with `data.error`; or still `checking` after `timeout`
        seconds. A job may name it meanwhile.
        """
        path = Path(path)
        on_bytes = chosen(on_bytes, progress, path.name)
        form = format or format_of(path)
        asked = {
            "format": form,
            "name": name or (path.resolve().name if path.is_dir() else path.stem),
            "validation_share": validation_share,
            "image_size": image_size,
            "undecodable_share": undecodable_share,
            "seed": seed,
        }
        if path.is_dir():
            # Beside the folder may be no room to write, in the system's temporary folder there is.
            with tempfile.TemporaryDirectory() as scratch:
                packed = zip_data(path, form, Path(scratch) / f"{path.resolve().name}.zip")
                file = Files(self._http).put_by_content(packed, on_bytes=on_bytes)
        else:
            file = Files(self._http).put_by_content(path, on_bytes=on_bytes)
        return self._registered({**asked, "file": file.name}, timeout)

    def register_source(
        self,
        source: str,
        path: str,
        *,
        format: DatasetFormat,  # noqa: A002  # the API's word
        name: str | None = None,
        validation_share: float | None = None,
        image_size: int | None = None,
        undecodable_share: float | None = None,
        seed: int | None = None,
        timeout: float = 60.0,
    ) -> Dataset:
        """Register a file of a source that the operator declared; a worker copies it.

        The rest is as for `register`.
        """
        asked = {
            "source": source,
            "path": path,
            "format": format,
            "name": name,
            "validation_share": validation_share,
            "image_size": image_size,
            "undecodable_share": undecodable_share,
            "seed": seed,
        }
        return self._registered(asked, timeout)

    def _registered(self, asked: Mapping[str, object], timeout: float) -> Dataset:
        given = {field: value for field, value in asked.items() if value is not None}
        response = self._http.request("POST", "/v1/datasets", json=given)
        dataset = Dataset(self._http, read_as(DatasetRead, response))
        settled(lambda: dataset.refresh().data.status, dataset.data.status, timeout)
        return dataset
