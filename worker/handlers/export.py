"""`export`: spec -> engine -> result."""

import os
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from service.contract.export import (
    ExportedModel,
    ExportFormat,
    ExportParity,
    ExportResult,
    ExportSpec,
    SkippedExport,
)
from service.contract.models import EXPORT_SUFFIXES
from service.contract.training import ModelFacts
from worker.engine.data.split import Data, Split
from worker.engine.errors import NotExportable, RuntimeMissing
from worker.engine.export.file import ExportedFile
from worker.engine.export.formats import EXPORTERS
from worker.engine.export.parity import Called, compare, logits_of, random_inputs
from worker.engine.models.folder import LoadedModel
from worker.handlers.common import Job, Outcome, check_fits, data_facts, model_facts, sha256_of
from worker.order import OUT, ProducedFile

_MEDIA_TYPE: Final = "application/octet-stream"


def export(job: Job, spec: ExportSpec) -> Outcome:
    """Write each format, load it in its runtime, hold it against the model."""
    data = None if spec.dataset is None else job.data(spec.dataset)
    source, loaded = job.input(spec.model), job.load(spec.model)
    if data is not None:
        check_fits(loaded.config, data)
    facts = model_facts(loaded, job.folder / source.folder, source.id, source.name)
    exporting = _Exporting(job, loaded, facts, data)
    exports: list[ExportedModel] = []
    skipped: list[SkippedExport] = []
    for done, name in enumerate(spec.formats):
        job.observer.on_phase(f"exporting to {name}")
        job.observer.on_step(done, len(spec.formats), {})
        try:
            exports.append(exporting.one(name))
        except RuntimeMissing as error:
            skipped.append(SkippedExport(format=name, reason=str(error)))
            job.observer.on_warning(f"{name} was skipped: {error}")
    job.observer.on_step(len(spec.formats), len(spec.formats), {})
    if not exports:
        raise RuntimeMissing("; ".join(one.reason for one in skipped))
    result = ExportResult(
        source=facts,
        exports=tuple(exports),
        skipped=tuple(skipped),
        data=None if data is None or spec.dataset is None else data_facts(spec.dataset, data),
        environment=job.environment("fp32"),
        seed=spec.seed,
    )
    files = tuple(
        ProducedFile(name=one.file, kind="export", media_type=_MEDIA_TYPE, path=f"{OUT}/{one.file}")
        for one in exports
    )
    return Outcome(result, labels=loaded.config.labels, files=files)


class _Exporting:
    """One model on its way into several formats; its own answers are asked for once."""

    def __init__(self, job: Job, loaded: LoadedModel, facts: ModelFacts, data: Data | None) -> None:
        self._job, self._loaded, self._facts = job, loaded, facts
        self._is_data = data is not None and len(data.validation) > 0
        self._split: Split = random_inputs(loaded.config)
        if data is not None and self._is_data:
            self._split = data.validation
        self._reference: Tensor = logits_of(loaded.module, loaded.config, self._split)

    def one(self, name: ExportFormat) -> ExportedModel:
        """Raises `NotExportable` where it fails or is out of tolerance, and `RuntimeMissing`."""
        path = self._job.folder / OUT / f"{self._facts.model}{EXPORT_SUFFIXES[name]}"
        path.parent.mkdir(exist_ok=True)
        try:
            file = EXPORTERS[name](
                self._loaded, path, facts=self._origin(), threads=len(os.sched_getaffinity(0))
            )
            return self._checked(name, file, path)
        except NotExportable as error:
            raise NotExportable(f"{name}: {error}", error.hint) from error

    def _checked(self, name: ExportFormat, file: ExportedFile, path: Path) -> ExportedModel:
        logits = logits_of(Called(file.predict), self._loaded.config, self._split)
        parity = compare(logits, self._reference)
        return ExportedModel(
            format=name,
            file=path.name,
            size_bytes=path.stat().st_size,
            sha256=sha256_of(path),
            runtime=file.runtime,
            opset=file.opset,
            parity=ExportParity(**vars(parity), data="validation" if self._is_data else "random"),
        )

    def _origin(self) -> dict[str, str]:
        """What a file says of itself, wherever it goes."""
        return {
            "modelpress.job": self._job.order.job_id,
            "modelpress.model": self._facts.model,
            "modelpress.sha256": self._facts.sha256,
            "modelpress.torch": str(torch.__version__),
        }
