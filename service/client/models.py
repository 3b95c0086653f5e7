"""Models: registered weights and what jobs made."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from service.client.checking import settled
from service.client.download import OnBytes, download, download_folder
from service.client.folder import zip_folder
from service.client.http import Http, read_as
from service.client.progress import chosen
from service.client.upload import Files
from service.contract.models import ContentFormat, FormatsRead, LineageRead, ModelRead
from service.contract.wire import Page


class Model:
    """A model as last seen; `refresh` looks again."""

    def __init__(self, http: Http, data: ModelRead) -> None:
        self._http = http
        self.data = data

    def __repr__(self) -> str:
        return f"<Model {self.id} {self.data.architecture} {self.data.status}>"

    @property
    def id(self) -> str:
        """The model's id."""
        return self.data.id

    def refresh(self) -> "Model":
        """Look again; returns itself."""
        self.data = self._http.get(ModelRead, f"/v1/models/{self.id}")
        return self

    def download(
        self,
        path: str | Path,
        *,
        format: str = "folder",  # noqa: A002  # the API's word
        progress: bool = False,
        on_bytes: OnBytes | None = None,
    ) -> Path:
        """Fetch it: a folder that `modelpress.load` takes, or one file in another format.

        `path` is the folder, made if needed, or the file. A broken connection is resumed.
        """
        on_bytes = chosen(on_bytes, progress, self.data.name)
        content = f"/v1/models/{self.id}/content"
        params = {"format": format}
        if format == "folder":
            return download_folder(
                self._http, content, Path(path), params=params, on_bytes=on_bytes
            )
        sha256 = self.data.sha256 if format == "safetensors" else None
        return download(
            self._http, content, Path(path), params=params, sha256=sha256, on_bytes=on_bytes
        )

    def lineage(self) -> LineageRead:
        """Its ancestors, nearest first, and its children."""
        return self._http.get(LineageRead, f"/v1/models/{self.id}/lineage")

    def formats(self) -> dict[ContentFormat, int]:
        """In which formats it can be downloaded, and how many bytes each has."""
        return self._http.get(FormatsRead, f"/v1/models/{self.id}/formats").data

    def card(self) -> str:
        """Its model card, in Markdown."""
        return self._http.request("GET", f"/v1/models/{self.id}/card").text

    def delete(self) -> None:
        """Delete it. Raises `Conflict` while an unfinished job needs it."""
        self._http.request("DELETE", f"/v1/models/{self.id}")


class Models:
    """The models of the key's project."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def get(self, model_id: str) -> Model:
        """One model. Raises `NotFound`."""
        return Model(self._http, self._http.get(ModelRead, f"/v1/models/{model_id}"))

    def list(self, *, page_size: int = 100) -> Iterator[Model]:
        """Models, newest first, fetched as they are reached."""
        for data in self._http.pages(Page[ModelRead], "/v1/models", {"limit": page_size}):
            yield Model(self._http, data)

    def register(
        self,
        path: str | Path,
        *,
        architecture: str | None = None,
        classes: int | None = None,
        input_size: Sequence[int] | None = None,
        options: Mapping[str, Any] | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        labels: Sequence[str] | None = None,
        name: str | None = None,
        timeout: float = 60.0,
        progress: bool = False,
        on_bytes: OnBytes | None = None,
    ) -> Model:
        """Upload weights or a graph and register it: `.safetensors` or a state dict of
        `torch.save`, which need an `architecture`; a zip of a Hugging Face folder; `.onnx`.

        What is not given comes from the file, else from the architecture's defaults. `mean` and
        `std` are per channel, of inputs divided by 255. Returns once a worker has looked inside:
        `data.status` is then `ready`, or `rejected` with `data.error`; or still `checking` after
        `timeout` seconds. A job may name it meanwhile.
        """
        asked = {
            "architecture": architecture,
            "classes": classes,
            "input_size": None if input_size is None else list(input_size),
            "options": None if options is None else dict(options),
            "normalisation": _normalisation(mean, std),
            "labels": None if labels is None else list(labels),
            "name": name or Path(path).stem,
        }
        shown = chosen(on_bytes, progress, Path(path).name)
        return self._register(Path(path), asked, timeout, shown)

    def register_folder(
        self,
        folder: str | Path,
        *,
        name: str | None = None,
        timeout: float = 60.0,
        progress: bool = False,
        on_bytes: OnBytes | None = None,
        **said: Any,
    ) -> Model:
        """Upload a folder that was downloaded here, or that `save_pretrained` or timm's
        `save_for_hf` wrote; its config.json says what it is. `said` are arguments of `register`,
        which win over it.

        Raises FileNotFoundError for a folder without config.json.
        """
        folder = Path(folder)
        with tempfile.TemporaryDirectory() as scratch:
            path = zip_folder(folder, Path(scratch) / "folder.zip")
            name = name or folder.resolve().name
            shown = chosen(on_bytes, progress, name)
            return self.register(path, name=name, timeout=timeout, on_bytes=shown, **said)

    def _register(
        self, path: Path, asked: dict[str, Any], timeout: float, on_bytes: OnBytes | None
    ) -> Model:
        file = Files(self._http).put_by_content(path, on_bytes=on_bytes)
        given = {field: value for field, value in asked.items() if value is not None}
        response = self._http.request("POST", "/v1/models", json={**given, "file": file.name})
        model = Model(self._http, read_as(ModelRead, response))
        settled(lambda: model.refresh().data.status, model.data.status, timeout)
        return model


def _normalisation(
    mean: Sequence[float] | None, std: Sequence[float] | None
) -> dict[str, list[float]] | None:
    if (mean is None) != (std is None):
        raise ValueError("mean and std must be given together")
    return None if mean is None or std is None else {"mean": list(mean), "std": list(std)}
