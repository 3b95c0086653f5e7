"""What hubs read of a model card: YAML before its text, by the Hugging Face specification."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import yaml

GRAPH: Final = "onnx"
_METRICS: Final = {  # the hub's type, and what people call it
    "test_accuracy": ("accuracy", "Test accuracy"),
    "accuracy_retention": ("accuracy_retention", "Accuracy ÷ the baseline's"),
    "compression_ratio": ("compression_ratio", "Parameters, baseline ÷ this"),
    "size_ratio": ("size_ratio", "Bytes, this ÷ baseline"),
    "speedup": ("speedup", "Speed-up over the baseline"),
    "parameters": ("parameters", "Parameters"),
    "size_bytes": ("size_bytes", "Bytes on disk"),
}
# As a repository of the hub is called. Without an owner it would name somebody else's model.
_HUB_NAME: Final = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
_MADE_FROM: Final = {"quantize": "quantized", "prune": "finetune", "train": "finetune"}


def task_of(input_size: Sequence[int]) -> str:
    """The task, as hubs call it."""
    return "image-classification" if len(input_size) == 3 else "tabular-classification"


def front_matter(
    *,
    name: str,
    architecture: str,
    input_size: Sequence[int],
    made_by: str | None = None,
    base: str | None = None,
    dataset: str | None = None,
    metrics: Mapping[str, float] | None = None,
) -> str:
    """With the lines of dashes around it. `made_by` is the kind of job; `base` the name of the
    model it was made from, which is told where it can be a repository of a hub; `metrics` were
    measured on the test split of `dataset`. The license is left out: it is the owner's to choose.
    """
    task = task_of(input_size)
    is_graph = architecture == GRAPH
    tags = ["modelpress", GRAPH if is_graph else "pytorch"]
    tags += [] if made_by is None else [made_by]
    header: dict[str, object] = {
        "library_name": GRAPH if is_graph else "modelpress",
        "tags": tags if is_graph else [*tags, architecture],
        "pipeline_tag": task,
    }
    if base is not None and _HUB_NAME.fullmatch(base):
        header["base_model"] = base
        if made_by in _MADE_FROM:
            header["base_model_relation"] = _MADE_FROM[made_by]
    scores = _scores(metrics or {})
    if dataset is not None and scores:
        result = {
            "task": {"type": task, "name": task.replace("-", " ").capitalize()},
            "dataset": {"name": dataset, "type": dataset, "split": "test"},
            "metrics": scores,
        }
        header["model-index"] = [{"name": name, "results": [result]}]
    text = yaml.safe_dump(header, sort_keys=False, allow_unicode=True, width=10_000)
    return f"---\n{text}---"


def _scores(metrics: Mapping[str, float]) -> list[dict[str, object]]:
    """`verified` is false: a hub did not measure them itself."""
    return [
        {"type": kind, "name": title, "value": round(metrics[key], 6), "verified": False}
        for key, (kind, title) in _METRICS.items()
        if key in metrics
    ]
