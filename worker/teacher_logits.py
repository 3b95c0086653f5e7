"""Teachers' logits that an earlier job left: found by what they depend on."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Final

from service.blobs import BlobNotFound, BlobStore
from service.contract.distill import DistillSpec
from service.contract.losses import FeatureLossBase
from service.store.artifacts import ArtifactStore
from service.store.session import Database
from worker.order import TEACHER_LOGITS, TeacherLogits

_FORMAT: Final = 1  # a new number leaves all logits of before unused


def logits_key(spec: DistillSpec, teacher: str, data: str) -> str | None:
    """What names the logits of a teacher; None where they cannot be known beforehand.

    `teacher` and `data` are digests (of a built-in dataset, its name). The engine looks into the
    file again: it knows what `auto` came to.
    """
    training = spec.training
    if any(isinstance(loss, FeatureLossBase) for loss in spec.losses):
        return None
    if training.mixup_alpha or training.cutmix_alpha:
        return None
    if training.augmentation != "none" and not spec.views:
        return None
    facts = {
        "format": _FORMAT,
        "teacher": teacher,
        "data": data,
        "views": spec.views,
        "augmentation": training.augmentation,
        "precision": spec.precision,
        "device": spec.device,
    }
    return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def fetch_logits(
    spec: DistillSpec,
    project: str,
    teachers: dict[str, str],
    data: str,
    folder: Path,
    database: Database,
    blobs: BlobStore,
) -> dict[str, TeacherLogits]:
    """For each teacher (digests by reference) whose logits can be known: their key, and the file
    of an earlier job of the project, if there is one yet. Raises BlobError, OSError."""
    found: dict[str, TeacherLogits] = {}
    for reference, digest in teachers.items():
        key = logits_key(spec, digest, data)
        if key is None:
            continue
        name, path = logits_name(key), f"inputs/logits-{len(found)}.safetensors"
        is_there = fetch_newest(project, TEACHER_LOGITS, name, folder / path, database, blobs)
        found[reference] = TeacherLogits(name=name, path=path if is_there else None)
    return found


def logits_name(key: str) -> str:
    """The artifact that holds the logits of a key."""
    return f"teacher-logits-{key}.safetensors"


def fetch_newest(
    project: str, kind: str, name: str, path: Path, database: Database, blobs: BlobStore
) -> bool:
    """Fetch the newest artifact of that name to `path`. False if there is none (any more)."""
    with database.read() as session:
        artifact = ArtifactStore(session).newest(project, kind, name)
        blob = None if artifact is None else artifact.sha256
    if blob is None:
        return False
    try:
        blobs.fetch(blob, path)
    except BlobNotFound:
        return False  # deleted meanwhile: they can be computed again
    return True
