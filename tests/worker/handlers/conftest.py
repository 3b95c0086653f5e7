"""A job as an engine child gets it, with data and models that train in a moment."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from service.contract.ids import new_id
from service.contract.specs import SPECS
from tests.worker.engine.recorder import Recorder
from worker.channel_observer import ChannelObserver
from worker.engine.data.canonical import save_data
from worker.engine.data.split import Data, Split
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import build, save_folder
from worker.handlers.common import Job
from worker.order import JobOrder, ModelInput

DATASET = new_id("dst")
TEACHERS = (new_id("mdl"), new_id("mdl"))
MLP = {"architecture": "mlp", "options": {"hidden": [8]}}

MakeJob = Callable[..., Job]


def _split(count: int, seed: int) -> Split:
    """Images whose class is the brightest channel, uint8 [N, 3, 4, 4]."""
    draw = torch.Generator().manual_seed(seed)
    y = torch.arange(count) % 3
    x = torch.randint(0, 160, (count, 3, 4, 4), generator=draw)
    x[torch.arange(count), y] += 40
    return Split(x.to(torch.uint8), y)


@pytest.fixture
def make_job(tmp_path: Path) -> MakeJob:
    """A job of a spec without its dataset and common fields, in a folder of its own."""

    def make(observer: Recorder, *, checkpoint: Path | None = None, **spec: Any) -> Job:
        folder = tmp_path / new_id("job")
        (folder / "checkpoints").mkdir(parents=True)
        data = Data.of(_split(60, 1), _split(30, 2), _split(30, 3))
        save_data(data, folder / "data.safetensors")
        for index in range(2):
            torch.manual_seed(index)
            config = ModelConfig(
                architecture="mlp",
                classes=3,
                input_size=(3, 4, 4),
                mean=(0.4,) * 3,
                std=(0.2,) * 3,
                options={"hidden": [16]},
            )
            save_folder(build(config), config, folder / f"teacher-{index}", card="")
        if checkpoint is not None:
            (folder / "checkpoints" / "from-1.pt").write_bytes(checkpoint.read_bytes())
        order = JobOrder(
            job_id=folder.name,
            spec=SPECS.validate_python({"dataset": DATASET, "device": "cpu", **spec}),
            model_id=new_id("mdl"),
            created_at=datetime(2026, 3, 4, tzinfo=UTC),
            models={
                teacher: ModelInput(
                    id=teacher, name=f"teacher {i}", folder=f"teacher-{i}", sha256=f"{i}" * 64
                )
                for i, teacher in enumerate(TEACHERS)
            },
            datasets={DATASET: "data.safetensors"},
            checkpoint=None if checkpoint is None else "checkpoints/from-1.pt",
        )
        return Job(order, folder, cast(ChannelObserver, observer))

    return make
