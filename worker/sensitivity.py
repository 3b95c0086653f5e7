"""The scan that an earlier job of adaptive pruning left: found by what it depends on."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Final

from service.blobs import BlobStore
from service.contract.prune import PruneSpec
from service.store.session import Database
from worker.order import SENSITIVITY, KnownFile
from worker.teacher_logits import fetch_newest

_FORMAT: Final = 1  # a new number leaves all scans of before unused


def sensitivity_key(spec: PruneSpec, model: str, data: str) -> str | None:
    """What names the scan; None where there is none, or it is of a model that the job trains first.

    `model` and `data` are digests (of a built-in dataset, its name).
    """
    if spec.allocation != "adaptive" or spec.method.name != "structured" or spec.sparsify:
        return None
    facts = {
        "format": _FORMAT,
        "model": model,
        "data": data,
        "importance": spec.method.importance,
        "ignored_layers": spec.method.ignored_layers,
        "seed": spec.seed if spec.method.importance == "random" else None,
        "device": spec.device,
    }
    return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def fetch_sensitivity(
    spec: PruneSpec,
    project: str,
    model: str,
    data: str,
    folder: Path,
    database: Database,
    blobs: BlobStore,
) -> KnownFile | None:
    """The artifact's name, and the file of an earlier job of the project, if there is one. None
    where no scan can be known. Raises BlobError, OSError."""
    key = sensitivity_key(spec, model, data)
    if key is None:
        return None
    name, path = f"sensitivity-{key}.json", "inputs/sensitivity.json"
    is_there = fetch_newest(project, SENSITIVITY, name, folder / path, database, blobs)
    return KnownFile(name=name, path=path if is_there else None)
