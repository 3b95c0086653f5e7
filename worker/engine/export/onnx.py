"""ONNX: one file, any batch size, its origin among its metadata."""

import logging
import tempfile
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import torch

from worker.engine.errors import NotExportable
from worker.engine.export.file import EXAMPLE_BATCH, ExportedFile
from worker.engine.measure.runner import inputs_of
from worker.engine.models.folder import LoadedModel
from worker.engine.models.graph import Graph


def to_onnx(
    loaded: LoadedModel, path: Path, *, facts: Mapping[str, str], threads: int
) -> ExportedFile:
    """Of a runtime graph, the same graph."""
    content = with_metadata(onnx_of(loaded), facts)
    path.write_bytes(content)
    graph = Graph(path.read_bytes(), threads=threads, provider="CPUExecutionProvider")
    runtime = f"onnxruntime {version('onnxruntime')}"
    return ExportedFile(path, runtime, graph, opset_of(content))


def onnx_of(loaded: LoadedModel) -> bytes:
    """A model as an ONNX file. Raises `NotExportable`."""
    if isinstance(loaded.module, Graph):
        return loaded.module.content
    return export_onnx(loaded)


def export_onnx(loaded: LoadedModel) -> bytes:
    """The model as one ONNX file, batch size dynamic: "input" to "logits"."""
    example = inputs_of(loaded.config, EXAMPLE_BATCH)
    module = loaded.module.to(memory_format=torch.contiguous_format).cpu().eval()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own internals
        path = Path(scratch) / "model.onnx"
        try:
            torch.onnx.export(
                module,
                (example,),
                path,
                input_names=["input"],
                output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                external_data=False,
                verbose=False,
            )
        except Exception as error:  # the exporter raises whatever its passes raise
            raise NotExportable(
                f"{loaded.config.architecture} cannot be exported to ONNX: {type(error).__name__}"
            ) from error
        return path.read_bytes()


def with_metadata(content: bytes, facts: Mapping[str, str]) -> bytes:
    """The same file with `facts` among its metadata, replacing those of the same name."""
    import onnx  # heavy

    model = onnx.ModelProto.FromString(content)
    kept = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, {**kept, **facts})
    whole: bytes = model.SerializeToString(deterministic=True)
    return whole


def opset_of(content: bytes) -> int:
    """Version of the standard operators that a file asks for."""
    import onnx

    model = onnx.ModelProto.FromString(content)
    return max(
        int(entry.version) for entry in model.opset_import if entry.domain in ("", "ai.onnx")
    )
