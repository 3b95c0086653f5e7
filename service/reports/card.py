"""The model card: the README.md of a model folder, with the front matter that hubs read."""

import json
from collections.abc import Mapping, Sequence

from service.reports import show
from service.reports.front_matter import GRAPH, front_matter
from service.reports.markdown import fenced, plain

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
    base: str | None,
    lineage: str,
    job_id: str,
    reproduction: str,
) -> str:
    """Markdown with YAML front matter. `made_by` is the kind of job; `metrics` goes by the names
    of `key_figures`, shares as fractions; `base` is the name of the model it was made from;
    `lineage` is a sentence; `reproduction` a shell command."""
    name = " ".join(name.split())  # a line of dashes in it would end the front matter
    header = front_matter(
        name=name,
        architecture=architecture,
        input_size=input_size,
        made_by=made_by,
        base=base,
        dataset=dataset,
        metrics=metrics,
    )
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
        header,
        f"# {plain(name)}",
        f"A classifier of {classes} classes, made by a `{made_by}` job of Modelpress "
        f"(`{job_id}`). {plain(lineage)}",
        "\n".join(["| | |", "|---|---|", *(f"| {k} | {plain(v)} |" for k, v in facts.items())]),
        "## Use",
        fenced(_GRAPH_USE if architecture == GRAPH else _USE, "python"),
        f"Inputs are normalised {channels}: (x ÷ 255 − mean) ÷ std with mean "
        f"{_numbers(mean)} and std {_numbers(std)}; for data that are not bytes, without ÷ 255.",
        *_labels(labels),
        "## Make it again",
        fenced(reproduction, "sh"),
    ]
    return "\n\n".join(parts) + "\n"


def uploaded_card(*, name: str, what: str, architecture: str, input_size: Sequence[int]) -> str:
    """The card of a model that was uploaded: nothing was measured on it. `what` says as what."""
    name = " ".join(name.split())
    weights = "" if architecture == GRAPH else f", weights of `{architecture}`"
    header = front_matter(name=name, architecture=architecture, input_size=input_size)
    use = fenced(_GRAPH_USE if architecture == GRAPH else _USE, "python")
    text = [header, f"# {plain(name)}", f"Uploaded as {what}{weights}.", "## Use", use]
    return "\n\n".join(text) + "\n"


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
