"""The check of an uploaded dataset."""

from pathlib import Path

from service.contract.datasets import DatasetFindings, Duplicates, ImageSizes
from service.contract.normalisation import Normalisation
from worker.engine.data.findings import Findings, Sizes
from worker.engine.data.intake import prepare
from worker.order import CheckedDataset, DatasetCheckOrder


def check_dataset(order: DatasetCheckOrder, folder: Path) -> CheckedDataset:
    """What it holds, and the same in canonical form."""
    side = order.image_size
    prepared = prepare(
        folder / order.source,
        folder,
        order.format,
        validation_share=order.validation_share,
        seed=order.seed,
        image_size=None if side is None else (side, side),
        undecodable_share=order.undecodable_share,
    )
    sheet = prepared.contact_sheet
    return CheckedDataset(
        path=prepared.path.name,
        classes=prepared.classes,
        input_size=prepared.input_size,
        labels=prepared.labels,
        splits=dict(prepared.sizes),
        class_counts=dict(prepared.counts),
        normalisation=Normalisation(mean=prepared.mean, std=prepared.std),
        findings=_findings(prepared.findings),
        contact_sheet=None if sheet is None else sheet.name,
        digest=prepared.digest,
    )


def _findings(found: Findings) -> DatasetFindings:
    return DatasetFindings(
        image_sizes=None if found.sizes is None else _sizes(found.sizes),
        duplicates=tuple(
            Duplicates(splits=(shared.first, shared.second), count=shared.count)
            for shared in found.duplicates
        ),
        undecodable=found.undecodable,
        undecodable_names=found.undecodable_names,
    )


def _sizes(sizes: Sizes) -> ImageSizes:
    return ImageSizes(smallest=sizes.smallest, largest=sizes.largest, commonest=sizes.commonest)
