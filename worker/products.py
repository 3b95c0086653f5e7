"""Puts what a child made among the blobs, and says so in the store's words."""

import zlib
from pathlib import Path

from service.blobs import BlobStore
from service.contract.models import WEIGHTS_OF_FORM
from service.store.values import ModelFile, NewArtifact, NewModel, Succeeded
from worker.order import PRODUCT, JobOrder, JobProduct, ProducedModel

MODEL_FILES = ("config.json", *WEIGHTS_OF_FORM.values(), "model.sparse.safetensors", "README.md")


def store_product(order: JobOrder, folder: Path, blobs: BlobStore) -> Succeeded:
    """Everything in the product is a blob when this returns. Raises BlobError."""
    product = JobProduct.model_validate_json((folder / PRODUCT).read_bytes())
    artifacts = []
    for file in product.files:
        blob = blobs.put_file(folder / file.path)
        artifacts.append(
            NewArtifact(file.name, file.kind, file.media_type, blob.sha256, blob.bytes)
        )
    models = (
        () if product.model is None else (_model(order, product, product.model, folder, blobs),)
    )
    return Succeeded(
        result=product.result.model_dump(mode="json"),
        metrics=product.metrics,
        artifacts=tuple(artifacts),
        models=models,
    )


def _model(
    order: JobOrder, product: JobProduct, made: ProducedModel, folder: Path, blobs: BlobStore
) -> NewModel:
    files = store_model_folder(folder / made.folder, blobs)
    weights = next(file for file in files if file.name == WEIGHTS_OF_FORM[made.form])
    return NewModel(
        id=order.model_id,
        name=made.name,
        form=made.form,
        architecture=made.architecture,
        options=made.options,
        classes=made.classes,
        input_size=tuple(made.input_size),
        normalisation=made.normalisation.model_dump(mode="json"),
        labels=made.labels,
        parameters=made.parameters,
        macs=made.macs,
        size_bytes=weights.bytes,
        sha256=weights.sha256,
        metrics=product.metrics,
        parent_id=made.parent,
        files=files,
    )


def store_model_folder(folder: Path, blobs: BlobStore) -> tuple[ModelFile, ...]:
    """The three files of a model folder as blobs, weights or graph. Takes the files."""
    stored = []
    for name in MODEL_FILES:
        if not (folder / name).exists():
            continue
        checksum = crc32(folder / name)
        blob = blobs.put_file(folder / name)
        stored.append(ModelFile(name, blob.sha256, blob.bytes, checksum))
    return tuple(stored)


def crc32(path: Path) -> int:
    """The checksum that a zip archive keeps of a file."""
    value = 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            value = zlib.crc32(chunk, value)
    return value
