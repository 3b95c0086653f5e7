import yaml

from service.reports.card import model_card
from tests.reports import samples


def card(name: str = "student") -> str:
    return model_card(
        name=name,
        made_by="distill",
        architecture="cnn_student",
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
        metrics={"test_accuracy": 350 / 360, "accuracy_retention": 350 / 352},
        lineage="Distilled from cnn_teacher.",
        job_id=samples.JOB,
        reproduction="curl …",
    )


def front_matter(text: str) -> dict[str, object]:
    _, header, _ = text.split("---\n", 2)
    loaded: dict[str, object] = yaml.safe_load(header)
    return loaded


def test_card_has_the_front_matter_that_hubs_read() -> None:
    header = front_matter(card())
    assert header["library_name"] == "modelpress"
    assert header["pipeline_tag"] == "image-classification"
    assert "license" not in header
    assert header["model-index"] == [
        {
            "name": "student",
            "results": [
                {
                    "task": {"type": "image-classification"},
                    "dataset": {"name": "digits", "type": "digits", "split": "test"},
                    "metrics": [{"type": "accuracy", "name": "Test accuracy", "value": 0.972222}],
                }
            ],
        }
    ]


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
