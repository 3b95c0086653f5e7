"""OpenVINO IR: graph and weights, the two files that it is, in one zip."""

import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from worker.engine.errors import NotExportable
from worker.engine.export.file import ExportedFile
from worker.engine.export.onnx import onnx_of
from worker.engine.models.folder import LoadedModel
from worker.engine.openvino import HINT_OF, library, reason

XML, BIN = "model.xml", "model.bin"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the same model makes the same zip


def to_openvino(
    loaded: LoadedModel, path: Path, *, facts: Mapping[str, str], threads: int
) -> ExportedFile:
    """By way of ONNX; weights stay float32. `facts` are runtime information of the IR."""
    ov = library()
    core = ov.Core()
    try:
        model = core.read_model(model=onnx_of(loaded))
    except RuntimeError as error:
        raise NotExportable(f"OpenVINO cannot read the graph: {reason(error)}") from error
    for name, value in facts.items():
        model.set_rt_info(value, ["modelpress", name])
    with tempfile.TemporaryDirectory() as scratch:
        xml = Path(scratch) / XML
        ov.save_model(model, xml, compress_to_fp16=False)
        _pack(path, {XML: xml.read_bytes(), BIN: xml.with_suffix(".bin").read_bytes()})
    compiled = _compile(core, path, threads)

    def predict(x: Tensor) -> Tensor:
        return torch.from_numpy(compiled(x.contiguous().numpy())[0].copy())

    return ExportedFile(path, f"openvino {ov.__version__.partition('-')[0]}", predict)


def _compile(core: Any, path: Path, threads: int) -> Any:
    """The packed IR, ready to run."""
    with zipfile.ZipFile(path) as archive:
        again = core.read_model(model=archive.read(XML), weights=archive.read(BIN))
    options = {"INFERENCE_PRECISION_HINT": HINT_OF["fp32"], "INFERENCE_NUM_THREADS": threads}
    try:
        return core.compile_model(again, "CPU", options)
    except RuntimeError as error:
        raise NotExportable(f"OpenVINO cannot compile the graph: {reason(error)}") from error


def _pack(path: Path, files: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content)
