"""`modelpress datasets`: what a person reads of data."""

import re
from datetime import UTC, datetime

import pytest

from service.cli.datasets import _show
from service.contract.datasets import (
    DatasetFindings,
    DatasetRead,
    Duplicates,
    ImageSizes,
    SplitSizes,
)
from service.contract.normalisation import Normalisation


def dataset(classes: int) -> DatasetRead:
    counts = {"train": (1200,) * classes, "validation": (10,) * classes, "test": (3,) * classes}
    return DatasetRead(
        id="dst_01JD8Z6Q5T3V9X7B2C4D6F8G0H",
        name="pets [large]",
        status="ready",
        format="image_zip",
        classes=classes,
        input_size=(3, 24, 32),
        labels=tuple(f"kind {n}" for n in range(classes)),
        splits=SplitSizes(**{name: sum(split) for name, split in counts.items()}),
        class_counts=counts,
        normalisation=Normalisation(mean=(0.5, 0.25, 0.125), std=(0.2, 0.2, 0.2)),
        findings=DatasetFindings(
            image_sizes=ImageSizes(smallest=(8, 9), largest=(300, 400), commonest=(24, 32)),
            duplicates=(Duplicates(splits=("train", "test"), count=2),),
            undecodable=5,
            undecodable_names=("a.png", "b.png", "c.png", "d.png"),
        ),
        source="photos",
        digest="a" * 64,
        bytes=12_345_678,
        error=None,
        created_at=datetime.now(UTC),
    )


def test_a_dataset_is_shown_with_splits_classes_and_what_stands_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _show(dataset(3))
    text = capsys.readouterr().out
    assert "pets [large]" in text
    assert "image_zip from photos" in text
    assert re.search(r"^Class +Train +Validation +Test *$", text, re.MULTILINE)
    assert re.search(r"^kind 2 +1,200 +10 +3 *$", text, re.MULTILINE)
    assert re.search(r"^all +3,600 +30 +9 *$", text, re.MULTILINE)
    assert "Images from 8×9 to 300×400, most of them 24×32 (H×W)" in text
    assert "Examples of test that train has too: 2" in text
    assert "Unreadable images left out: 5 (a.png, b.png, c.png, …)" in text


def test_of_many_classes_the_first_are_shown_and_the_rest_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _show(dataset(1000))
    text = capsys.readouterr().out
    assert "kind 29" in text
    assert "kind 30" not in text
    assert "… 970 more" in text
    assert re.search(r"^all +1,200,000", text, re.MULTILINE)
