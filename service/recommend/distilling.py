"""A smaller network that learns from the model: which one, and what is known of it."""

from collections.abc import Iterator
from typing import Any, Final

from service.contract.distill import PRESETS
from service.contract.recommendations import Expected, ExpectedRange
from service.recommend.candidate import Candidate, between, rule
from service.recommend.networks import Student
from service.recommend.seen import measured, pasts_of
from service.recommend.subject import Subject

_PAGE: Final = "docs/how-to/distil.md"
_MOST_STUDENTS: Final = 2


def distilling(subject: Subject) -> Iterator[Candidate]:
    """The largest student that is small enough, and the next smaller one."""
    if not subject.has("distill"):
        return
    for student in fitting(subject):
        yield _candidate(subject, student)


def fitting(subject: Subject) -> list[Student]:
    """Students that leave no more than the targets allow, as far as it can be counted; the
    largest first. If none does, the smallest there is."""
    students = subject.students
    enough = [one for one in students if _is_small(subject, one)] or students[-1:]
    return enough[:_MOST_STUDENTS]


def _is_small(subject: Subject, student: Student) -> bool:
    """True also where it is not known."""
    model, size = subject.model, student.size
    if size is None:
        return True
    share = size.parameters / (model.parameters or size.parameters)
    most_bytes = subject.targets.get("size_bytes")
    macs = subject.targets.get("macs")
    return (
        share <= subject.targets.get("parameters", 1)
        and (most_bytes is None or 4 * size.parameters <= most_bytes)
        and (macs is None or model.macs is None or size.macs <= macs * model.macs)
    )


def distill_spec(subject: Subject, student: Student) -> dict[str, Any]:
    """With the preset where workers have its losses and the teacher shows its features."""
    spec: dict[str, Any] = {
        "kind": "distill",
        "teacher": subject.model.model,
        "student": student.spec,
        "dataset": subject.request.dataset,
    }
    return spec | ({"preset": "recommended"} if _takes_preset(subject) else {})


def _takes_preset(subject: Subject) -> bool:
    has_maps = not subject.is_graph and subject.layers == "convolutions"
    losses = {loss.name for loss in PRESETS["recommended"]}
    return has_maps and (losses <= set(subject.can.losses) or not subject.can.workers)


def _candidate(subject: Subject, student: Student) -> Candidate:
    size, method = student.size, f"distill:{student.architecture}"
    evidence = [*(past.evidence for past in pasts_of(method, subject))]
    evidence += [rule(_PAGE, "A student learns from the teacher's outputs as well as from labels.")]
    if size is not None:
        text = (
            f"{student.name} has {size.parameters:,} parameters and {size.macs:,} MACs, counted "
            "on the network as it is built."
        )
        evidence.append(rule(None, text))
    if _takes_preset(subject):
        evidence.append(
            rule(_PAGE, "The preset adds the teacher's feature maps, which help a small student.")
        )
    caveats = [
        "A student starts from random weights: it takes a whole training, and its accuracy is not "
        "known before. `control: true` also tells what the teacher gave."
    ]
    if size is None:
        caveats.append("How small the student is was not counted: dry_run tells in seconds.")
    return Candidate(
        method=method,
        title=f"Teach {student.name}",
        reason="A smaller network of the same kind can go further than cutting, for it was "
        "designed at its size."
        if subject.lineage
        else "A graph cannot be trained, but it can teach a smaller network.",
        specs=(distill_spec(subject, student),),
        effort=3,
        expected=measured(method, subject, distill_expected(subject, student)),
        evidence=tuple(evidence),
        caveats=tuple(caveats),
    )


def distill_expected(subject: Subject, student: Student) -> Expected:
    """What counting tells: nothing of accuracy or time."""
    model, size = subject.model, student.size
    if size is None:
        return Expected()
    counted = rule(None, f"parameters and MACs of {student.name}, counted")
    smaller, fewer = None, None
    if model.parameters and not subject.is_graph:
        smaller = between(model.parameters / size.parameters, model.parameters / size.parameters,
                          counted)  # fmt: skip
    if model.macs:
        fewer = between(model.macs / size.macs, model.macs / size.macs, counted)
    size_ratio: ExpectedRange | None = None
    if subject.dense_bytes:
        bytes_of = rule(None, f"four bytes for each of the {size.parameters:,} parameters")
        low = 4 * size.parameters / subject.dense_bytes
        # Names and statistics of layers come on top, which are little beside the weights.
        size_ratio = between(low, low * 1.1, bytes_of)
    return Expected(compression_ratio=smaller, macs_ratio=fewer, size_ratio=size_ratio)
