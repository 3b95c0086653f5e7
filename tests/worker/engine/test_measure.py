"""Latencies, ratios, scores."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss

from worker.engine.errors import RuntimeMissing
from worker.engine.measure.latency import Latency, measure_interleaved, speedup
from worker.engine.measure.runtimes import RUNTIMES, available
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import build, save_folder
from worker.engine.train.evaluate import agreement, calibration_error, reliability, score


def test_percentiles_are_those_of_the_samples() -> None:
    latency = Latency.from_samples([n / 1000 for n in range(1, 102)])
    assert latency.p50_ms == pytest.approx(51)
    assert latency.p90_ms == pytest.approx(91)
    assert latency.p99_ms == pytest.approx(100)
    assert latency.mean_ms == pytest.approx(51)
    assert latency.std_ms == pytest.approx(np.std(np.arange(1, 102)))


def test_a_latency_without_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="samples"):
        Latency.from_samples([])


def test_speedup_is_the_median_of_ratios_round_by_round() -> None:
    # every round the machine slows down for both; the ratio stays 2
    slow = Latency.from_samples([2.0, 4.0, 8.0, 16.0], [1, 1, 1, 1])
    fast = Latency.from_samples([1.0, 2.0, 4.0, 8.0], [1, 1, 1, 1])
    ratio = speedup(slow, fast)
    assert (ratio.low, ratio.median, ratio.high) == (2.0, 2.0, 2.0)


def test_callables_take_turns() -> None:
    order: list[str] = []
    measure_interleaved(
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")},
        warmup_s=0.0,
        blocks=3,
        samples_per_block=4,
    )
    turns = "".join(order).replace("aa", "a").replace("aa", "a").replace("aa", "a")
    turns = turns.replace("bb", "b").replace("bb", "b").replace("bb", "b")
    assert turns.endswith("ababab")


def test_scores_agree_with_scikit_learn() -> None:
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(200, 5, generator=draw)
    labels = torch.randint(0, 5, (200,), generator=draw)
    found = score(logits, labels)
    assert found.accuracy == pytest.approx(accuracy_score(labels, logits.argmax(1)))
    assert found.loss == pytest.approx(log_loss(labels, logits.double().softmax(1)), rel=1e-6)
    for index, share in enumerate(found.per_class_accuracy):
        chosen = labels == index
        assert share == pytest.approx(float((logits.argmax(1) == index)[chosen].double().mean()))


def test_calibration_error_of_a_known_case() -> None:
    # 4 predictions of confidence 0.9, half of them right: one bin, gap 0.4
    confidence = torch.full((4,), 0.9)
    hits = torch.tensor([True, True, False, False])
    assert calibration_error(confidence, hits) == pytest.approx(0.4, abs=1e-6)


def test_a_reliability_diagram_has_the_bins_with_examples() -> None:
    # fifteenths: 0.05 is in the first, 0.9 in the fourteenth, 1 in the last
    confidence = torch.tensor([0.9, 0.05, 0.92, 1.0], dtype=torch.float64)
    hits = torch.tensor([True, False, False, True])
    found = [(one.samples, one.confidence, one.accuracy) for one in reliability(confidence, hits)]
    assert found == [(1, 0.05, 0.0), (2, pytest.approx(0.91), 0.5), (1, 1.0, 1.0)]


def test_agreement_is_the_share_of_equal_top_predictions() -> None:
    one = torch.tensor([[2.0, 1.0], [0.0, 1.0], [3.0, 0.0], [0.0, 5.0]])
    other = torch.tensor([[1.0, 0.0], [1.0, 0.0], [9.0, 0.0], [1.0, 2.0]])
    assert agreement(one, other) == 0.75


@pytest.mark.parametrize(
    "runtime",
    [
        "eager",
        "onnxruntime",
        "openvino",
        # Compilers take a minute.
        pytest.param("torch_compile", marks=pytest.mark.long),
        pytest.param("aotinductor", marks=pytest.mark.long),
    ],
)
def test_every_runtime_gives_the_model_s_outputs(runtime: str, tmp_path: Path) -> None:
    config = ModelConfig("cnn_simple", 10, (3, 32, 32), (0.5,) * 3, (0.25,) * 3)
    module = build(config).eval()
    save_folder(module, config, tmp_path, "# card\n")
    threads = torch.get_num_threads()
    try:
        runner = RUNTIMES[runtime](
            tmp_path, batch_size=4, device=torch.device("cpu"), threads=1, precision="fp32"
        )
    finally:
        torch.set_num_threads(threads)
    inputs = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(runner.predict(inputs), module(inputs), rtol=1e-3, atol=1e-4)
    assert runner.precision == "fp32"
    runner()


@pytest.mark.parametrize(
    ("runtime", "wanted"),
    [("executorch", r"modelpress\[executorch\]"), ("tensorrt", r"modelpress\[tensorrt\]|no CUDA")],
)
def test_a_runtime_that_is_not_here_says_what_is_missing(
    runtime: str, wanted: str, tmp_path: Path
) -> None:
    if runtime in available():
        pytest.skip(f"{runtime} is here")
    with pytest.raises(RuntimeMissing, match=wanted):
        RUNTIMES[runtime](tmp_path, batch_size=1, device=torch.device("cpu"), threads=1)


def test_the_interval_of_a_speedup_knows_that_processes_differ() -> None:
    # within each process nothing varies; between them, a tenth: by rounds alone 1.1 would be sure
    first = Latency.from_executions([[[1.1]] * 4, [[1.0]] * 4])
    second = Latency.from_executions([[[1.0]] * 4, [[1.1]] * 4])
    ratio = speedup(first, second)
    assert ratio.median == pytest.approx(1.0)
    assert ratio.low == pytest.approx(1 / 1.1)
    assert ratio.high == pytest.approx(1.1)


def test_latencies_of_different_numbers_of_processes_are_not_compared() -> None:
    two, one = Latency.from_executions([[[1.0]], [[1.0]]]), Latency.from_executions([[[1.0]] * 2])
    with pytest.raises(ValueError, match="executions"):
        speedup(two, one)
