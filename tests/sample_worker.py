"""A worker as the database knows it: what it can do, and how it claims."""

from collections.abc import Sequence

from service.store.session import Database
from service.store.values import ClaimingWorker, NewWorker
from service.store.workers import WorkerStore

KINDS = ("train", "distill", "benchmark")
WORKER = ClaimingWorker(
    "wrk_" + "0" * 26,
    "cpu",
    frozenset(
        [f"kind:{kind}" for kind in KINDS]
        + ["architecture:cnn_student", "architecture:cnn_teacher", "architecture:mlp"]
        + ["loss:kd", "dataset:digits", "runtime:eager", "runtime:onnxruntime"]
    ),
)


def register(database: Database, kinds: Sequence[str] = KINDS, **architectures: list[str]) -> None:
    """It is alive, does jobs of these kinds, and has these classifiers of timm besides."""
    capabilities = {
        "device": "cpu",
        "device_name": "Test CPU",
        "memory_bytes": 1,
        "cpu_features": ["avx2", "avx512_vnni"],
        "has_int8_products": True,
        "libraries": {"onnxruntime": "1.32.0", "openvino": "2026.4.1"},
        "torch": "2.14.1",
        "kinds": list(kinds),
        "architectures": {"mlp": ["dropout", "hidden"], "cnn_student": []}
        | {f"timm/{name}": options for name, options in architectures.items()},
        "losses": ["kd"],
        "pruning": {"structured": ["magnitude", "lamp"]},
        "runtimes": ["eager"],
        "datasets": ["digits"],
    }
    worker = NewWorker(
        id=WORKER.id,
        hostname="here",
        version="0.1.0",
        device="cpu",
        slots=2,
        queues=("default",),
        capabilities=capabilities,
        tokens=WORKER.capabilities | ({"family:timm"} if architectures else set()),
    )
    with database.transaction() as session:
        WorkerStore(session).register(worker)
