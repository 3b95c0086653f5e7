"""Original and pruned, timed side by side on their saved files."""

from collections.abc import Sequence

from service.contract.before_after import ComparedLatency
from service.contract.prune_result import PairedLatency


def as_pairs(latencies: Sequence[ComparedLatency]) -> tuple[PairedLatency, ...]:
    """The same rows in the words of a pruning."""
    return tuple(
        PairedLatency(
            batch_size=one.batch_size,
            original_p50_ms=one.baseline_p50_ms,
            pruned_p50_ms=one.compressed_p50_ms,
            speedup=one.speedup,
            low=one.low,
            high=one.high,
        )
        for one in latencies
    )
