"""How to get the same again: what was asked for, and under which conditions it ran."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from service.contract.reports import Column, Provenance, Table
from service.contract.specs import JobSpec
from service.contract.training import DataFacts, Environment
from service.reports import show
from service.reports.body import table

_COLUMNS: Final = (Column(key="name", title="Name"), Column(key="value", title="Value"))
_LABELS: Final = {"name", "labels"}  # what people call a job changes nothing in it


def reproduce_tables(provenance: Provenance) -> tuple[Table, ...]:
    """What was asked for beside the defaults, and the conditions."""
    conditions = [_seeds(provenance)]
    if provenance.data is not None:
        conditions += _data(provenance.data)
    if provenance.environment is not None:
        conditions += _environment(provenance.environment)
    return (
        _table("asked", "What was asked for; the rest is default", settings(provenance.spec)),
        _table("conditions", "Conditions", conditions),
    )


def settings(spec: JobSpec) -> list[tuple[str, str]]:
    """What `asked` has, by path."""
    return [("kind", spec.kind), *((k, v) for k, v in _leaves(asked(spec)) if k != "kind")]


def asked(spec: JobSpec) -> dict[str, Any]:
    """The fields that differ from their defaults, and whatever names a choice."""
    whole = spec.model_dump(mode="json", exclude=_LABELS)
    changed = spec.model_dump(mode="json", exclude=_LABELS, exclude_defaults=True)
    # which method, schedule or loss it was stands here also where it is the default
    choices = {
        key: {"name": value["name"]}
        for key, value in whole.items()
        if isinstance(value, Mapping) and "name" in value
    }
    return {"kind": spec.kind, **_named({**choices, **changed}, whole)}


def _named(changed: Any, whole: Any) -> Any:
    """`changed` with what a default says only beside another field: which of several things this
    is, and where an alpha ends, which stays where it is given alone."""
    if isinstance(changed, Mapping):
        beside = {"name", "alpha_end"} if "alpha" in changed else {"name"}
        return {
            key: _named(changed[key], value) if key in changed else value
            for key, value in whole.items()
            if key in changed or key in beside
        }
    if isinstance(changed, list):
        return [_named(one, other) for one, other in zip(changed, whole, strict=True)]
    return changed


def _leaves(plain: Mapping[str, Any], under: str = "") -> Iterator[tuple[str, str]]:
    for key, value in plain.items():
        path = f"{under}{key}"
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}.")
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            for index, one in enumerate(value):
                yield from _leaves(one, f"{path}[{index}].")
        elif isinstance(value, list):
            yield path, ", ".join(map(str, value)) or "none"
        else:
            yield path, str(value)


def _seeds(provenance: Provenance) -> tuple[str, str]:
    if len(provenance.seeds) < 2:
        return "Seed", str(provenance.seed)
    asked = ", ".join(map(str, provenance.seeds))
    return "Seeds", f"{asked}; {provenance.seed} was kept"


def _data(data: DataFacts) -> Iterator[tuple[str, str]]:
    yield "Data", data.dataset
    yield "Digest of the data", f"sha256:{data.digest}"
    splits = (("training", data.train), ("validation", data.validation), ("test", data.test))
    yield "Examples", ", ".join(f"{show.count(count)} {name}" for name, count in splits)


def _environment(here: Environment) -> Iterator[tuple[str, str]]:
    yield "Device", f"{here.device}: {here.device_name}"
    yield "Precision", here.precision
    yield "Threads", f"{here.threads} of {here.cpu_count} processors"
    yield "Platform", f"{here.platform}, Python {here.python}"
    yield "Versions", ", ".join(f"{name} {version}" for name, version in here.libraries.items())
    for name, version in (("CUDA", here.cuda), ("Driver", here.driver)):
        if version is not None:
            yield name, version


def _table(ident: str, title: str, rows: list[tuple[str, str]]) -> Table:
    return table(ident, title, _COLUMNS, ({"name": name, "value": value} for name, value in rows))
