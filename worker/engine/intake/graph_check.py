"""The check of a graph: it runs, on what it says it takes, and what it answers is finite."""

import numpy as np

from worker.engine.errors import InvalidModel
from worker.engine.intake.onnx_file import GraphUpload, with_batch, with_input_size
from worker.engine.intake.settle import normalisation
from worker.engine.intake.upload import Described
from worker.engine.models.config import ModelConfig
from worker.engine.models.graph import ARCHITECTURE, Graph


def check_graph(
    upload: GraphUpload, asked: Described, said: Described
) -> tuple[bytes, ModelConfig, tuple[str, ...]]:
    """The file to keep, its configuration, and notes. Raises `InvalidModel`."""
    known = asked.over(said)
    size = _input_size(upload.input_size, known.input_size)
    content = upload.content
    notes = list(upload.notes)
    if None in upload.input_size:
        content = with_input_size(content, size)
        notes.append(f"its input was open; it is {list(size)} from here on")
    content, logits = _tried(content, size, notes)
    classes = logits.shape[1]
    mean, std = normalisation(known, None, size[0])
    config = ModelConfig(
        architecture=ARCHITECTURE,
        classes=classes,
        input_size=size,
        mean=mean,
        std=std,
        labels=known.labels,
        compression=known.compression,
        extra=known.extra,
    )
    if known.classes not in (None, classes):
        raise InvalidModel(f"the graph has {classes} outputs, the request says {known.classes}")
    return content, config, tuple(notes)


def _input_size(found: tuple[int | None, ...], asked: tuple[int, ...] | None) -> tuple[int, ...]:
    if asked is None:
        sides = tuple(side for side in found if side is not None)
        if len(sides) != len(found):
            raise InvalidModel(
                "the graph leaves sides of its input open", "Say `input_size` in the request."
            )
        return sides
    fits = len(asked) == len(found) and all(
        side in (None, wanted) for side, wanted in zip(found, asked, strict=False)
    )
    if not fits:
        raise InvalidModel(f"the graph takes inputs of {list(found)}, not {list(asked)}")
    return asked


def _tried(content: bytes, size: tuple[int, ...], notes: list[str]) -> tuple[bytes, np.ndarray]:
    """Run one input, and two: some exports say they take any batch and were made with one."""
    graph = Graph(content)
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((2, *size), dtype=np.float32)
    one = graph.run(inputs[:1])
    if one.ndim != 2 or len(one) != 1 or not np.isfinite(one).all():
        raise InvalidModel(
            "its output is not finite" if one.ndim == 2 else "its output is not of classes"
        )
    if graph.batch_size is None:
        try:
            both = graph.run(inputs)
            fixed = both.shape != (2, one.shape[1])
        except InvalidModel:
            fixed = True
        if fixed:
            notes.append(
                "it takes one input at a time, whatever it says: larger batches are fed so"
            )
            return with_batch(content, 1), one
    return content, one
