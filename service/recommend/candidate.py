"""One thing that could be done, before it is judged and ranked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from service.contract.recommendations import (
    Expected,
    ExpectedRange,
    RecommendationEvidence,
)


@dataclass(frozen=True)
class Candidate:
    """A job, or jobs in a row. `specs` have only the fields that are not left to their defaults."""

    method: str
    title: str
    reason: str
    specs: tuple[Mapping[str, Any], ...]
    effort: int
    """0: minutes, nothing is trained; 1: a model is repaired; 2: one is trained; and one more for
    each job of a chain. Of two that keep the same targets the lesser goes first."""
    expected: Expected = field(default_factory=Expected)
    promised: frozenset[str] = frozenset()
    """Targets that its jobs keep or fail."""
    shown: bool = False
    """Whether `expected` was measured on this very model."""
    runtime: str = "eager"
    """What runs what it makes, and what its speed-up is of."""
    p50_ms: float | None = None
    """The latency at the targets' batch size, where it was measured."""
    evidence: tuple[RecommendationEvidence, ...] = ()
    caveats: tuple[str, ...] = ()
    chain: str | None = None


def is_certain(evidence: RecommendationEvidence) -> bool:
    """Whether it is arithmetic, which holds for every network, and no experience with another."""
    return evidence.kind == "rule" and evidence.ref is None


def rule(page: str | None, text: str) -> RecommendationEvidence:
    """Evidence from a page of the documentation; None: from arithmetic."""
    return RecommendationEvidence(kind="rule", ref=page, text=text)


def between(low: float, high: float, source: RecommendationEvidence) -> ExpectedRange:
    """A range, its ends in either order."""
    return ExpectedRange(low=min(low, high), high=max(low, high), source=source)
