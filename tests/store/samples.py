"""Values that many tests of the store use."""

from service.contract.job_errors import JobError
from service.store.values import (
    AcceptedModel,
    ClaimingWorker,
    ModelFile,
    NewArtifact,
    NewModel,
    NewWorker,
)

LEASE_S = 10.0
CRASH = JobError.of("engine_crashed", "the engine exited with 3")
WORKER = ClaimingWorker("wrk_" + "0" * 26, "cpu", frozenset({"kind:train"}))
OTHER = ClaimingWorker("wrk_" + "1" * 26, "cpu", frozenset({"kind:train"}))
GPU = ClaimingWorker("wrk_" + "2" * 26, "cuda", frozenset({"kind:train"}))

SHA = {letter: letter * 64 for letter in "abcdef"}
MODEL_FILES = (ModelFile("model.safetensors", SHA["a"], 4096, 7),)
ACCEPTED = AcceptedModel(
    form="weights",
    architecture="mlp",
    options={"hidden": [8]},
    classes=10,
    input_size=(1, 8, 8),
    normalisation={"mean": [0.0], "std": [1.0]},
    labels=None,
    notes=("stripped the prefix 'module.'",),
    parameters=100,
    macs=200,
    size_bytes=4096,
    sha256=SHA["a"],
    files=MODEL_FILES,
)


def model(**fields: object) -> NewModel:
    """A small model; ready unless a source is given."""
    given = {
        "name": "m",
        "architecture": "mlp",
        "options": {"hidden": [8]},
        "classes": 10,
        "input_size": (3, 32, 32),
        "normalisation": {"mean": [0.0], "std": [1.0]},
        **fields,
    }
    return NewModel(**given)  # type: ignore[arg-type]


def checkpoint(step: int, sha256: str = SHA["b"]) -> NewArtifact:
    """A checkpoint at `step`."""
    return NewArtifact(
        "checkpoint.pt", "checkpoint", "application/octet-stream", sha256, 10, step=step
    )


def worker_row(worker: ClaimingWorker) -> NewWorker:
    """The row of a worker that claims."""
    return NewWorker(
        id=worker.id,
        hostname="host",
        version="1",
        device=worker.device,
        slots=1,
        queues=("default", "gpu") if worker.device == "cuda" else ("default",),
        capabilities={},
        tokens=worker.capabilities,
    )
