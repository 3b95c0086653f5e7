"""Model folders as zip: Hugging Face's, timm's, and our own."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final
from zipfile import ZipFile, ZipInfo

from worker.engine.errors import InvalidModel
from worker.engine.intake.archive import copy_out, files, opened, take
from worker.engine.intake.hub_config import class_names, described_by_hub
from worker.engine.intake.safetensors_file import read_safetensors
from worker.engine.intake.upload import Described, Upload
from worker.engine.models.config import FORMAT, ModelConfig
from worker.engine.models.folder import CARD, CONFIG, WEIGHTS
from worker.engine.models.graph import GRAPH
from worker.engine.shown import shown

_PREPROCESSOR: Final = "preprocessor_config.json"
_MAX_JSON: Final = 8 << 20  # 21,843 names of classes take about 1 MB
_WRITTEN_ANEW: Final = (CARD, ".gitattributes", ".gitignore", "LICENSE")


@dataclass(frozen=True)
class FoundGraph:
    """A runtime graph, not looked into yet, and what was said of it beside it."""

    path: Path
    described: Described


def read_folder_zip(path: Path, scratch: Path) -> Upload | FoundGraph:
    """What is in it, its weights or its graph unpacked in `scratch`.

    Only config.json, preprocessor_config.json and the weights are read; other files are named
    in the notes. Raises `InvalidModel`.
    """
    with opened(path) as archive:
        members = _flat(archive)
        if CONFIG not in members:
            raise InvalidModel(f"the folder holds no {CONFIG}")
        config = _json(archive, members[CONFIG])
        own = config.get("format") == FORMAT
        if own and GRAPH in members:
            copy_out(archive, members[GRAPH], scratch / GRAPH)
            return FoundGraph(scratch / GRAPH, _of_ours(config))
        if WEIGHTS not in members:
            raise _without_weights(members)
        described = _of_ours(config) if own else _of_hub(archive, members, config)
        copy_out(archive, members[WEIGHTS], scratch / WEIGHTS)
    used = {CONFIG, WEIGHTS, *(() if own else (_PREPROCESSOR,)), *_WRITTEN_ANEW}
    ignored = sorted(name for name in members if name not in used)
    notes = (f"ignored, since not needed: {shown(ignored)}",) if ignored else ()
    return Upload(read_safetensors(scratch / WEIGHTS).tensors, described, notes)


def _flat(archive: ZipFile) -> Mapping[str, ZipInfo]:
    """Members by name, below the one folder at the top if there is one."""
    found = {m.filename: m for m in files(archive) if not m.filename.startswith("__MACOSX/")}
    tops = {name.partition("/")[0] for name in found}
    if len(tops) == 1 and all("/" in name for name in found):
        return {str(PurePosixPath(*PurePosixPath(n).parts[1:])): m for n, m in found.items()}
    return found


def _without_weights(members: Mapping[str, ZipInfo]) -> InvalidModel:
    pickles = [name for name in members if name.endswith((".bin", ".pt", ".pth", ".pkl"))]
    shards = [name for name in members if name.endswith(".safetensors")]
    if shards:
        return InvalidModel(
            f"the weights are in parts ({shown(shards)})",
            "Save it again with model.save_pretrained(folder, max_shard_size='50GB').",
        )
    there = f"; {shown(pickles)} can run code and is not read" if pickles else ""
    return InvalidModel(
        f"the folder holds no {WEIGHTS}{there}",
        "Save it again with model.save_pretrained(folder), or timm's "
        "save_for_hf(model, folder, safe_serialization=True).",
    )


def _of_ours(config: Mapping[str, Any]) -> Described:
    try:
        known = ModelConfig.from_json(json.dumps(config))
        known.to_json()  # it will be written so again
    except RecursionError as error:
        raise InvalidModel(f"{CONFIG} is nested too deeply") from error
    return Described(
        architecture=known.architecture,
        options=known.options,
        classes=known.classes,
        input_size=known.input_size,
        mean=known.mean,
        std=known.std,
        labels=None if known.labels is None else class_names(list(known.labels)),
        compression=known.compression,
        extra=known.extra,
    )


def _of_hub(
    archive: ZipFile, members: Mapping[str, ZipInfo], config: Mapping[str, Any]
) -> Described:
    preprocessor = _json(archive, members[_PREPROCESSOR]) if _PREPROCESSOR in members else {}
    for document in (config, preprocessor):
        if "auto_map" in document or document.get("trust_remote_code"):
            raise InvalidModel(
                "the folder wants to run code of its own (auto_map)",
                "Send a model of an architecture that the worker knows; the operator may install "
                "yours as a package.",
            )
    return described_by_hub(config, preprocessor)


def _json(archive: ZipFile, member: ZipInfo) -> dict[str, Any]:
    try:
        document = json.loads(
            take(archive, member, _MAX_JSON),
            object_pairs_hook=_without_duplicates,
            parse_float=_finite,
            parse_constant=_finite,
        )
    except (ValueError, RecursionError) as error:
        raise InvalidModel(f"{member.filename} is not JSON: {str(error)[:200]}") from error
    if not isinstance(document, dict):
        raise InvalidModel(f"{member.filename} must hold an object")
    return document


def _finite(text: str) -> float:
    """JSON has no word for infinity, but 1e999 is one."""
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text[:20]} is no number")
    return number


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name appears twice")
    return found
