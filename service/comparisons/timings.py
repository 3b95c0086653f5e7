"""Latencies of several jobs in one table: which job speaks for a cell, and what may be divided."""

from collections.abc import Collection, Iterator
from datetime import datetime

from service.contract.comparisons import (
    ComparisonDevice,
    ComparisonLatency,
    ComparisonProcess,
    ComparisonSpeedup,
)
from service.evidence import Evidence, Place, Setting, Timing

_Cell = tuple[str, Place, Setting]


class Timings:
    """The latencies of some models. Where several jobs timed the same, the first of these speaks:
    named in the request, timed the baseline too, timed most of the models, newest."""

    def __init__(
        self, evidence: Evidence, models: Collection[str], baseline: str, named: Collection[str]
    ) -> None:
        self._baseline = baseline
        timed = [one for one in evidence.timings if one.model in models]
        together: dict[str, set[str]] = {job: set() for job in evidence.runs}
        for one in timed:
            together[one.job].add(one.model)

        def rank(job: str) -> tuple[bool, bool, int, datetime, str]:
            there, run = together[job], evidence.runs[job]
            return (job in named, baseline in there, len(there), run.finished_at, job)

        self._jobs = sorted(evidence.runs, key=rank, reverse=True)
        self._by_job = {(one.job, one.model, one.place, one.setting): one for one in timed}
        self._ratios = {
            (one.job, one.model, one.place, one.setting): one
            for one in evidence.ratios
            if one.baseline == baseline
        }
        self._processes = {
            model: [one for one in evidence.processes if one.model == model] for model in models
        }
        self._cells: dict[_Cell, Timing] = {}
        self._order = {job: index for index, job in enumerate(self._jobs)}
        for one in sorted(timed, key=lambda one: self._order[one.job]):
            self._cells.setdefault((one.model, one.place, one.setting), one)
        self._keys = {
            place: f"device-{number}"
            for number, place in enumerate(dict.fromkeys(p for _, p, _ in self._cells), start=1)
        }

    @property
    def devices(self) -> tuple[ComparisonDevice, ...]:
        """Where something was timed."""
        return tuple(
            ComparisonDevice(key=key, device=place.device, name=place.name, threads=place.threads)
            for place, key in self._keys.items()
        )

    def batch_size(self) -> int | None:
        """The one that most models were timed at, the smallest of equals; None without any."""
        counts: dict[int, set[tuple[str, Place]]] = {}
        for model, place, setting in self._cells:
            counts.setdefault(setting.batch_size, set()).add((model, place))
        return min(counts, key=lambda size: (-len(counts[size]), size), default=None)

    def latencies_of(self, model: str) -> tuple[ComparisonLatency, ...]:
        """By device, runtime and batch size."""
        mine = [(p, s, one) for (m, p, s), one in self._cells.items() if m == model]
        mine.sort(key=lambda each: (self._keys[each[0]], each[1]))
        return tuple(
            ComparisonLatency(
                device=self._keys[place],
                runtime=setting.runtime,
                batch_size=setting.batch_size,
                precision=setting.precision,
                p50_ms=one.p50_ms,
                p95_ms=one.p95_ms,
                variation=one.variation,
                job=one.job,
                speedup=self._speedup(one),
            )
            for place, setting, one in mine
        )

    def processes_of(self, model: str) -> tuple[ComparisonProcess, ...]:
        """By device and runtime."""
        found: dict[tuple[str, str, str], ComparisonProcess] = {}
        for one in sorted(self._processes[model], key=lambda one: self._order[one.job]):
            if one.place in self._keys:
                made = ComparisonProcess(
                    device=self._keys[one.place],
                    runtime=one.runtime,
                    precision=one.precision,
                    cold_start_s=one.cold_start_s,
                    peak_rss_bytes=one.peak_rss_bytes,
                    libraries_rss_bytes=one.libraries_rss_bytes,
                    peak_device_bytes=one.peak_device_bytes,
                    job=one.job,
                )
                found.setdefault((made.device, made.runtime, made.precision), made)
        return tuple(found[key] for key in sorted(found))

    def _speedup(self, one: Timing) -> ComparisonSpeedup | None:
        """Against the baseline, in the job that timed the cell or else in another that timed both
        there: as paired ratios where it has them, else as the ratio of its two medians."""
        if one.model == self._baseline:
            return None
        return next(self._speedups(one), None)

    def _speedups(self, one: Timing) -> Iterator[ComparisonSpeedup]:
        for job in dict.fromkeys((one.job, *self._jobs)):
            ratio = self._ratios.get((job, one.model, one.place, one.setting))
            if ratio is not None:
                yield ComparisonSpeedup(value=ratio.value, low=ratio.low, high=ratio.high, job=job)
            mine = self._by_job.get((job, one.model, one.place, one.setting))
            base = self._by_job.get((job, self._baseline, one.place, one.setting))
            if mine is not None and base is not None:
                yield ComparisonSpeedup(value=base.p50_ms / mine.p50_ms, job=job)
