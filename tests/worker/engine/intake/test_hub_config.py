"""What the two files of a transformers folder say, in our words."""

from typing import Any

import pytest

from worker.engine.errors import InvalidModel
from worker.engine.intake.hub_config import described_by_hub

VIT = {"model_type": "vit", "architectures": ["ViTForImageClassification"], "num_labels": 3}
MEAN, STD = [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]


def test_only_fields_that_the_architecture_takes_become_options() -> None:
    config = {**VIT, "hidden_size": 16, "hidden_act": None, "_name_or_path": "/etc", "evil": "x"}
    described = described_by_hub(config, {})
    assert (described.architecture, described.options) == ("transformers/vit", {"hidden_size": 16})
    assert described.classes == 3


@pytest.mark.parametrize(
    ("said", "mean", "std"),
    [
        ({"image_mean": MEAN, "image_std": STD}, tuple(MEAN), tuple(STD)),
        # (x ÷ 127.5 − 1) ÷ 1 is (x ÷ 255 − 0.5) ÷ 0.5
        (
            {"image_mean": [1.0] * 3, "image_std": [1.0] * 3, "rescale_factor": 1 / 127.5},
            (0.5,) * 3,
            (0.5,) * 3,
        ),
        ({"do_normalize": False, "image_mean": MEAN, "image_std": STD}, (0.0,) * 3, (1.0,) * 3),
        # (x − 51) ÷ 51 is (x ÷ 255 − 0.2) ÷ 0.2
        (
            {"do_rescale": False, "image_mean": [51.0] * 3, "image_std": [51.0] * 3},
            (0.2,) * 3,
            (0.2,) * 3,
        ),
    ],
)
def test_normalisation_is_of_pixels_over_255(
    said: dict[str, Any], mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    described = described_by_hub(VIT, said)
    assert described.mean == pytest.approx(mean)
    assert described.std == pytest.approx(std)


def test_without_a_preprocessor_nothing_is_said_of_normalisation() -> None:
    described = described_by_hub(VIT, {})
    assert (described.mean, described.std) == (None, None)


@pytest.mark.parametrize(
    ("config", "preprocessor", "expected"),
    [
        ({"image_size": 64}, {"size": 32}, (3, 64, 64)),
        ({"image_size": [64, 96], "num_channels": 1}, {}, (1, 64, 96)),
        ({}, {"size": {"height": 40, "width": 48}}, (3, 40, 48)),
        ({}, {"size": {"shortest_edge": 36}}, (3, 36, 36)),
        ({}, {"size": 256, "do_center_crop": True, "crop_size": 224}, (3, 224, 224)),
        ({}, {"size": 256, "crop_size": 224}, (3, 256, 256)),
        ({}, {}, None),
    ],
)
def test_the_input_size_is_the_model_s_before_the_preprocessor_s(
    config: dict[str, Any], preprocessor: dict[str, Any], expected: tuple[int, ...] | None
) -> None:
    assert described_by_hub({**VIT, **config}, preprocessor).input_size == expected


def test_labels_are_in_the_order_of_their_indices() -> None:
    described = described_by_hub({**VIT, "id2label": {"1": "dog", "0": "cat"}}, {})
    assert (described.labels, described.classes) == (("cat", "dog"), 2)


def test_as_many_names_as_imagenet_has_at_its_largest_are_taken() -> None:
    names = {str(i): f"a name of some forty-five characters, {i:08}" for i in range(21_843)}
    described = described_by_hub({**VIT, "id2label": names}, {})
    assert described.labels == tuple(names.values())


def test_labels_that_only_count_are_no_names() -> None:
    config = {**VIT, "id2label": {"0": "LABEL_0", "1": "LABEL_1"}}
    described = described_by_hub(config, {})
    assert (described.labels, described.classes) == (None, 2)


@pytest.mark.parametrize(
    ("config", "preprocessor", "reason"),
    [
        ({"id2label": {"0": "cat", "7": "dog"}}, {}, "every class from 0"),
        ({"id2label": {"0": 3}}, {}, "list of texts"),
        ({"id2label": {str(i): "x" for i in range(100_001)}}, {}, "more than the 100000 allowed"),
        ({"id2label": {str(i): "€" * 128 for i in range(6_000)}}, {}, "have 2304000 bytes"),
        ({"image_size": 10**6}, {}, "three sides"),
        ({"num_channels": True}, {}, "positive whole number"),
        ({}, {"rescale_factor": 0.0}, "rescale_factor"),
        ({}, {"rescale_factor": "1"}, "rescale_factor"),
        ({}, {"rescale_factor": 10**400, "image_mean": MEAN, "image_std": STD}, "out of range"),
        ({}, {"image_mean": [10**400] * 3}, "image_mean holds a number that is out of range"),
        ({}, {"image_mean": ["a"]}, "list of numbers"),
        ({"model_type": "nothing_like_it"}, {}, "unknown architecture"),
    ],
)
def test_what_is_wrong_has_a_reason(
    config: dict[str, Any], preprocessor: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidModel, match=reason):
        described_by_hub({**VIT, **config}, preprocessor)
