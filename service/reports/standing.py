"""Reading a benchmark: which latency and which model the summary speaks of."""

from dataclasses import dataclass

from service.contract.benchmark import (
    BenchmarkedModel,
    BenchmarkResult,
    LatencyResult,
    SpeedupResult,
)


@dataclass(frozen=True, order=True)
class Setting:
    """What a latency was measured under: inputs per forward pass, what ran them, and how.

    `precision` is empty for float32, which goes without saying.
    """

    batch_size: int
    runtime: str
    precision: str = ""

    def __str__(self) -> str:
        precise = f" in {self.precision}" if self.precision else ""
        return f"{self.runtime}{precise}, batch {self.batch_size}"


def settings(result: BenchmarkResult) -> list[Setting]:
    """Every setting that was measured, in the order in which they were asked for."""
    return list(
        dict.fromkeys(setting_of(one) for model in result.models for one in model.latencies)
    )


def setting_of(measured: LatencyResult | SpeedupResult) -> Setting:
    """The setting of a latency or a speed-up."""
    precision = measured.precision or ""
    return Setting(measured.batch_size, measured.runtime, precision.removeprefix("fp32"))


def first_setting(result: BenchmarkResult) -> Setting | None:
    """The smallest batch size of the runtime that ran most models, the first of equals: what a
    single request meets, where they can be compared. None if nothing was timed."""
    measured = settings(result)
    if not measured:
        return None
    ran = [{one.runtime for one in model.latencies} for model in result.models]
    runtimes = dict.fromkeys(one.runtime for one in measured)
    runtime = max(runtimes, key=lambda name: sum(name in each for each in ran))
    return min(one for one in measured if one.runtime == runtime)


def latency_at(model: BenchmarkedModel, setting: Setting | None) -> LatencyResult | None:
    """The model's latency under a setting, if it was measured."""
    return next((one for one in model.latencies if setting_of(one) == setting), None)


def speedup_at(model: BenchmarkedModel, setting: Setting | None) -> SpeedupResult | None:
    """The model's speed-up under a setting, if it was measured."""
    return next((one for one in model.speedups if setting and _is_of(one, setting)), None)


def _is_of(one: SpeedupResult, setting: Setting) -> bool:
    """Speed-ups of older results do not say their precision: there was one for a runtime."""
    if one.precision is None:
        return (one.batch_size, one.runtime) == (setting.batch_size, setting.runtime)
    return setting_of(one) == setting


def contender(result: BenchmarkResult) -> int | None:
    """Index of the model with the greatest speed-up in `first_setting`, the later of equals; of
    the last model if no speed-up is known, and None if the baseline stands alone."""
    if len(result.models) < 2:
        return None
    setting = first_setting(result)

    def speed(index: int) -> tuple[float, int]:
        found = speedup_at(result.models[index], setting)
        return (found.speedup if found else 0.0, index)

    return max(range(1, len(result.models)), key=speed)
