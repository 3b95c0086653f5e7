"""Measurements by model, each with the job that made it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from service.contract.specs import JobKind
from service.contract.training import DataFacts, Evaluation, ModelFacts


@dataclass(frozen=True, order=True)
class Place:
    """What a latency depends on besides the model: two places are never compared by division."""

    device: str
    name: str
    threads: int


@dataclass(frozen=True, order=True)
class Setting:
    """How a model was run. `precision` is the arithmetic actually run."""

    runtime: str
    batch_size: int
    precision: str


@dataclass(frozen=True)
class Run:
    """A job that measured something."""

    job: str
    kind: JobKind
    name: str | None
    finished_at: datetime
    device: str
    data: DataFacts | None
    libraries: Mapping[str, str]


@dataclass(frozen=True)
class Score:
    """A model on the test split of some data, in float32."""

    model: str
    job: str
    data: DataFacts
    test: Evaluation


@dataclass(frozen=True)
class Timing:
    """A model's latency. Null percentiles were not kept."""

    model: str
    job: str
    place: Place
    setting: Setting
    p50_ms: float
    p95_ms: float | None = None
    variation: float | None = None


@dataclass(frozen=True)
class Ratio:
    """How many times faster a model is than `baseline`: both took turns in one run."""

    model: str
    baseline: str
    job: str
    place: Place
    setting: Setting
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Process:
    """What a model took in a process of its own."""

    model: str
    job: str
    place: Place
    runtime: str
    precision: str
    cold_start_s: float
    peak_rss_bytes: int
    libraries_rss_bytes: int
    peak_device_bytes: int | None


@dataclass(frozen=True)
class Agreement:
    """Share of test examples on which two models give the same top prediction."""

    models: frozenset[str]
    job: str
    data: DataFacts
    share: float


@dataclass(frozen=True)
class Evidence:
    """All that some jobs measured, in the order of the jobs."""

    runs: Mapping[str, Run] = field(default_factory=dict)
    facts: Mapping[str, ModelFacts] = field(default_factory=dict)
    scores: tuple[Score, ...] = ()
    timings: tuple[Timing, ...] = ()
    ratios: tuple[Ratio, ...] = ()
    processes: tuple[Process, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    left_out: int = 0
    """Jobs that were not read, because there are more than a request may cost."""

    @classmethod
    def joined(cls, parts: Iterable["Evidence"], left_out: int = 0) -> "Evidence":
        """The evidence of several jobs. Of a model's facts the first count: all are of one file."""
        each = list(parts)
        return cls(
            runs={job: run for part in each for job, run in part.runs.items()},
            facts={m: facts for part in reversed(each) for m, facts in part.facts.items()},
            scores=tuple(one for part in each for one in part.scores),
            timings=tuple(one for part in each for one in part.timings),
            ratios=tuple(one for part in each for one in part.ratios),
            processes=tuple(one for part in each for one in part.processes),
            agreements=tuple(one for part in each for one in part.agreements),
            left_out=left_out,
        )
