"""The model card: what hubs read of it, by their own parser, and what people read."""

from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import model_index_to_eval_results

from service.reports.card import model_card, uploaded_card
from tests.reports import samples


def card(
    name: str = "student",
    *,
    made_by: str = "distill",
    architecture: str = "cnn_student",
    base: str | None = None,
) -> str:
    return model_card(
        name=name,
        made_by=made_by,
        architecture=architecture,
        options={},
        classes=10,
        input_size=(3, 32, 32),
        mean=(0.5, 0.25, 0.125),
        std=(0.2, 0.2, 0.2),
        labels=[str(digit) for digit in range(10)],
        parameters=148_330,
        macs=16_359_040,
        size_bytes=594_520,
        dataset="digits",
        metrics={"test_accuracy": 350 / 360, "accuracy_retention": 350 / 352, "p50_ms": 1.0},
        base=base,
        lineage="Distilled from cnn_teacher.",
        job_id=samples.JOB,
        reproduction="curl …",
    )


def as_a_hub_reads(text: str) -> Any:
    return ModelCard(text)


def front_matter(text: str) -> dict[str, Any]:
    _, header, _ = text.split("---\n", 2)
    loaded: dict[str, Any] = yaml.safe_load(header)
    return loaded


def test_card_has_the_front_matter_that_hubs_read() -> None:
    header = front_matter(card())
    assert header["library_name"] == "modelpress"
    assert header["pipeline_tag"] == "image-classification"
    assert header["tags"] == ["modelpress", "pytorch", "distill", "cnn_student"]
    assert "license" not in header
    accuracy, retention = (
        {"type": "accuracy", "name": "Test accuracy", "value": 0.972222, "verified": False},
        {
            "type": "accuracy_retention",
            "name": "Accuracy ÷ the baseline's",
            "value": 0.994318,
            "verified": False,
        },
    )
    assert header["model-index"] == [
        {
            "name": "student",
            "results": [
                {
                    "task": {"type": "image-classification", "name": "Image classification"},
                    "dataset": {"name": "digits", "type": "digits", "split": "test"},
                    "metrics": [accuracy, retention],
                }
            ],
        }
    ]


def test_the_hubs_own_parser_finds_the_metrics() -> None:
    parsed = as_a_hub_reads(card())
    assert parsed.data.model_name == "student"
    results = parsed.data.eval_results
    assert results is not None
    assert [(each.metric_type, each.metric_value, each.dataset_split) for each in results] == [
        ("accuracy", 0.972222, "test"),
        ("accuracy_retention", 0.994318, "test"),
    ]
    assert not any(each.verified for each in results)
    name, again = model_index_to_eval_results(front_matter(card())["model-index"])
    assert (name, again) == ("student", results)


def test_a_graph_is_for_onnx_and_shows_onnxruntime() -> None:
    parsed = as_a_hub_reads(card(made_by="quantize", architecture="onnx"))
    assert parsed.data.library_name == "onnx"
    assert parsed.data.tags == ["modelpress", "onnx", "quantize"]
    assert "onnxruntime.InferenceSession" in parsed.text
    assert parsed.data.eval_results is not None


@pytest.mark.parametrize(
    ("base", "made_by", "told"),
    [
        ("timm/resnet18.a1_in1k", "quantize", ("timm/resnet18.a1_in1k", "quantized")),
        ("timm/resnet18.a1_in1k", "prune", ("timm/resnet18.a1_in1k", "finetune")),
        ("timm/resnet18.a1_in1k", "distill", ("timm/resnet18.a1_in1k", None)),
        ("resnet18", "prune", (None, None)),  # the hub's resnet18 is somebody else's
        ("our/own/model", "prune", (None, None)),
        (None, "train", (None, None)),
    ],
)
def test_only_a_base_that_can_be_a_repository_is_named(
    base: str | None, made_by: str, told: tuple[str | None, str | None]
) -> None:
    header = front_matter(card(made_by=made_by, base=base))
    assert (header.get("base_model"), header.get("base_model_relation")) == told


def test_an_uploaded_model_has_a_card_without_metrics() -> None:
    text = uploaded_card(
        name="mine\n---", what="an ONNX file", architecture="onnx", input_size=(3, 8, 8)
    )
    parsed = as_a_hub_reads(text)
    assert parsed.data.pipeline_tag == "image-classification"
    assert parsed.data.eval_results is None
    assert "# mine ---" in text
    assert "Uploaded as an ONNX file." in text


def test_card_says_how_to_load_and_what_goes_in() -> None:
    text = card()
    assert 'modelpress.load("path/to/this/folder")' in text
    assert "mean [0.5, 0.25, 0.125] and std [0.2, 0.2, 0.2]" in text
    assert "3 × 32 × 32" in text
    assert "97.22 %" in text
    assert "148,330" in text


def test_hostile_name_cannot_leave_the_front_matter() -> None:
    name = "x\n---\nlicense: mit"
    header = front_matter(card(name))
    assert "license" not in header
    assert "x --- license: mit" in str(header["model-index"])
