"""The model card: the README.md of a model folder, with the front matter that hubs read."""

import json
from collections.abc import Mapping, Sequence

import yaml

from service.reports import show
from service.reports.markdown import fenced, plain

_METRICS = {"test_accuracy": ("accuracy", "Test accuracy"), "test_loss": ("loss", "Test loss")}

_USE = 'import modelpress\n\nmodel = modelpress.load("path/to/this/folder")'
_GRAPH_USE = """import onnxruntime

session = onnxruntime.InferenceSession("path/to/this/folder/model.onnx")
(logits,) = session.run(None, {session.get_inputs()[0].name: inputs})"""


def model_card(
    *,
    name: str,
    made_by: str,
    architecture: str,
    options: Mapping[str, object],
    classes: int,
    input_size: Sequence[int],
    mean: Sequence[float],
    std: Sequence[float],
    labels: Sequence[str] | None,
    parameters: int,
    macs: int | None,
    size_bytes: int,
    dataset: str,
    metrics: Mapping[str, float],
    lineage: str,
    job_id: str,
    reproduction: str,
) -> str:
    """Markdown with YAML front matter. `made_by` is the kind of job; `metrics` goes by the names
    of `key_figures`, shares as fractions; `lineage` is a sentence; `reproduction` a shell command.
    The license is left out: it is the owner's to choose."""
    task = "image-classification" if len(input_size) == 3 else "tabular-classification"
    name = " ".join(name.split())  # a line of dashes in it would end the front matter
    header = _front_matter(name, task, dataset, [task, made_by, architecture], metrics)
    channels = "per channel" if len(mean) > 1 else "for every channel"
    facts = {
        "Architecture": f"{architecture} {json.dumps(dict(options))}" if options else architecture,
        "Input": f"float32, {' × '.join(map(str, input_size))} (without the batch)",
        "Outputs": f"{classes} class scores (logits)",
        "Parameters": show.count(parameters),
        "MACs per input": show.cell(macs, "count"),
        "Weights on disk": show.size(size_bytes),
        **_shown(metrics),
    }
    parts = [
        f"---\n{header}---",
        f"# {plain(name)}",
        f"A classifier of {classes} classes, made by a `{made_by}` job of Modelpress "
        f"(`{job_id}`). {plain(lineage)}",
        "\n".join(["| | |", "|---|---|", *(f"| {k} | {plain(v)} |" for k, v in facts.items())]),
        "## Use",
        fenced(_GRAPH_USE if architecture == "onnx" else _USE, "python"),
        f"Inputs are normalised {channels}: (x ÷ 255 − mean) ÷ std with mean "
        f"{_numbers(mean)} and std {_numbers(std)}; for data that are not bytes, without ÷ 255.",
        *_labels(labels),
        "## Make it again",
        fenced(reproduction, "sh"),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(
    name: str, task: str, dataset: str, tags: list[str], metrics: Mapping[str, float]
) -> str:
    scores = [
        {"type": kind, "name": title, "value": round(metrics[key], 6)}
        for key, (kind, title) in _METRICS.items()
        if key in metrics
    ]
    result = {
        "task": {"type": task},
        "dataset": {"name": dataset, "type": dataset, "split": "test"},
        "metrics": scores,
    }
    header: dict[str, object] = {"library_name": "modelpress", "tags": ["pytorch", *tags]}
    if scores:
        header["model-index"] = [{"name": name, "results": [result]}]
    return yaml.safe_dump(
        {**header, "pipeline_tag": task}, sort_keys=False, allow_unicode=True, width=10_000
    )


def _shown(metrics: Mapping[str, float]) -> dict[str, str]:
    shown = {
        "test_accuracy": ("Test accuracy", show.percent),
        "accuracy_retention": ("Accuracy retention", show.percent),
        "compression_ratio": ("Compression ratio", show.ratio),
    }
    return {title: form(metrics[key]) for key, (title, form) in shown.items() if key in metrics}


def _numbers(values: Sequence[float]) -> str:
    return f"[{', '.join(f'{value:.6g}' for value in values)}]"


def _labels(labels: Sequence[str] | None) -> list[str]:
    if not labels:
        return []
    return [f"Classes, in order: {plain(', '.join(labels))}."]
