"""ONNX: one file, any batch size, its origin among its metadata."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from worker.engine.export.file import ExportedFile
from worker.engine.measure.runtimes import export_onnx
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
