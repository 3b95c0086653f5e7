"""Whether anybody alive can build an architecture that a request names."""

from collections.abc import Iterable
from difflib import get_close_matches

from sqlalchemy.orm import Session

from service.contract.catalog import FAMILIES, family_of, requirement_of, unknown_architecture
from service.contract.system import WorkerCapabilities
from service.errors import UnknownArchitecture
from service.store.jobs import JobStore
from service.store.models import ModelStore
from service.store.workers import WorkerStore


def check(
    session: Session, alive_s: float, pointer: str, name: str, options: Iterable[str]
) -> None:
    """Raises UnknownArchitecture for a name or an option that the workers who have the family do
    not know.

    `pointer` is to the object that has the fields `architecture` and `options`. A family that
    none of them has is no error, unless it looks like a misspelt one: its worker may come yet, and
    the job says what it waits for.
    """
    family = family_of(name)
    if family is None:
        return  # it is built in, and the contract has checked it
    known = _options_by_name(session, alive_s, family)
    if not known:
        near = [] if family in FAMILIES else get_close_matches(family, FAMILIES, cutoff=0.75)
        if near:
            said = f"unknown architecture '{name}'; did you mean {near[0]}/…?"
            raise UnknownArchitecture.at(f"{pointer}/architecture", said)
        return
    if name not in known:
        said = unknown_architecture(name, sorted(known)).message()
        raise UnknownArchitecture.at(f"{pointer}/architecture", said)
    foreign = sorted(set(options) - known[name])
    if foreign:
        taken = ", ".join(sorted(known[name])) or "none"
        raise UnknownArchitecture.at(
            f"{pointer}/options",
            f"{name} takes no option {', '.join(foreign)}; it takes {taken}",
        )


def requirements_of(session: Session, references: Iterable[str], project: str) -> set[str]:
    """What a worker must have to build the models and jobs' models that a spec names.

    Of an upload that is still looked at nothing is known, unless its request said it.
    """
    found: set[str] = set()
    for reference in references:
        if reference.startswith("job_"):
            required = JobStore(session).get(reference, project).requires
            found.update(token for token in required if token.startswith("family:"))
        elif reference.startswith("mdl_"):
            name = ModelStore(session).get(reference, project).architecture
            if name is not None and family_of(name) is not None:
                found.add(requirement_of(name))
    return found


def _options_by_name(session: Session, alive_s: float, family: str) -> dict[str, set[str]]:
    known: dict[str, set[str]] = {}
    for worker in WorkerStore(session).alive(alive_s):
        seen = WorkerCapabilities.model_validate(worker.capabilities)
        for name, options in seen.architectures.items():
            if family_of(name) == family:
                known.setdefault(name, set()).update(options)
    return known
