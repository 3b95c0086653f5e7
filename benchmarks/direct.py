"""The same work without the service: the handler's engine calls in a fork of the preloaded server.

The child is started as a worker starts one, so that what is compared is the service and not the
seconds that importing torch takes.
"""

import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from service.contract.ids import new_id
from service.contract.specs import SPECS
from service.contract.train import TrainSpec
from worker.channel import Channel
from worker.engine_host import EngineHost
from worker.order import ORDER, JobOrder


class DirectEngine:
    """Runs `train` specs one after another, each in a fresh child."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="mp-")
        self._host = EngineHost(Path(self._folder.name))

    def __enter__(self) -> Self:
        self._host.start()
        self._host.wait_ready(120)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._host.close()
        self._folder.cleanup()

    def train(self, spec: Mapping[str, Any]) -> None:
        """Returns when the engine call has ended; raises if it failed."""
        with tempfile.TemporaryDirectory(dir=self._folder.name) as name:
            folder = Path(name)
            order = JobOrder(
                job_id=new_id("job"),
                spec=SPECS.validate_python(dict(spec)),
                model_id=new_id("mdl"),
                created_at=datetime.now(UTC),
                models={},
                datasets={},
                checkpoint=None,
            )
            (folder / ORDER).write_text(order.model_dump_json())
            log = folder / "log"
            with self._host.spawn(
                folder, "job", log_path=log, entry="benchmarks.direct:run_engine"
            ) as child:
                while child.channel.receive(None) is not None:
                    pass
                status = child.wait(30)
            if status is None or not status.ok:
                raise RuntimeError(log.read_text())


def run_engine(channel: Channel, folder: Path, kind: str) -> int:
    """The child: the engine's `fit` on the spec's data, and nothing else."""
    from service.contract.catalog import ArchitectureSpec
    from worker.engine.data.builtin import BUILTIN
    from worker.engine.data.split import channel_stats
    from worker.engine.models.config import ModelConfig
    from worker.engine.models.folder import build
    from worker.engine.seeds import seed_everything
    from worker.engine.train.loop import fit
    from worker.order import read_order

    spec = read_order(folder).spec
    assert isinstance(spec, TrainSpec)
    assert isinstance(spec.model, ArchitectureSpec)
    data = BUILTIN[spec.dataset]()
    mean, std = channel_stats(data.train)
    config = ModelConfig(
        architecture=spec.model.architecture,
        classes=data.classes,
        input_size=data.input_size,
        mean=mean,
        std=std,
        options=spec.model.options,
    )
    seed_everything(spec.seed, deterministic=True)
    fit(build(config), data, mean=mean, std=std, epochs=spec.training.epochs, seed=spec.seed)
    return 0
