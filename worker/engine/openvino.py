"""What running and writing OpenVINO graphs have in common: the library, and its words."""

from collections.abc import Mapping
from typing import Any, Final

from worker.engine.device import Precision
from worker.engine.errors import RuntimeMissing

HINT_OF: Final[Mapping[Precision, str]] = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
"""Values of INFERENCE_PRECISION_HINT. Left alone, it chooses bf16 on processors that have it."""


def library() -> Any:
    """Raises `RuntimeMissing` where it is not installed."""
    try:
        import openvino  # optional, and heavy
    except ImportError as error:
        raise RuntimeMissing("openvino is not installed on this worker") from error
    return openvino


def reason(error: RuntimeError) -> str:
    """The line of its message that says what is wrong: the last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
