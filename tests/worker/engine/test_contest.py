"""Timing processes and the one who lets them take turns."""

import os
from pathlib import Path

import pytest
import torch

from worker.engine.errors import Stopped
from worker.engine.measure.conductor import contest
from worker.engine.measure.contestant import Conditions, Entry
from worker.engine.measure.latency import speedup
from worker.engine.measure.stopwatch import is_stable, turn
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import WEIGHTS, build, save_folder

CONDITIONS = Conditions(torch.device("cpu"), 1, dict(os.environ))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    config = ModelConfig("mlp", 3, (3, 4, 4), (0.5,) * 3, (0.2,) * 3, options={"hidden": [8]})
    save_folder(build(config), config, tmp_path, card="")
    return tmp_path


def test_a_model_is_measured_in_processes_of_its_own(folder: Path) -> None:
    entries = [Entry("a", folder, "eager"), Entry("a", folder, "onnxruntime")]
    entries += [Entry("a", folder, "tensorrt")]
    blocks: list[None] = []
    timed, skipped = contest(
        entries,
        CONDITIONS,
        batch_sizes=(1, 2),
        warmup_s=0.02,
        blocks=3,
        block_s=0.01,
        on_block=lambda: blocks.append(None),
    )
    assert [one.entry.runtime for one in timed] == ["eager", "onnxruntime"]
    assert [(one.entry.runtime, one.code) for one in skipped] == [("tensorrt", "runtime_missing")]
    assert len(blocks) == 2 * 3
    for one in timed:
        assert set(one.latencies) == {1, 2}
        assert [len(latency.block_sizes) for latency in one.latencies.values()] == [3, 3]
        assert one.facts.peak_rss_bytes > one.facts.libraries_rss_bytes > 1 << 20
        assert one.facts.precision == "fp32"
        assert one.facts.max_abs_difference < 1e-4
    assert timed[0].facts.file_bytes == (folder / WEIGHTS).stat().st_size
    assert speedup(timed[0].latencies[1], timed[1].latencies[1]).median > 0


def test_each_execution_is_a_process_with_turns_of_its_own(folder: Path) -> None:
    entries = [Entry(name, folder, "onnxruntime") for name in "ab"]
    timed, skipped = contest(
        entries, CONDITIONS, batch_sizes=(1,), warmup_s=0.0, blocks=2, block_s=0.0, executions=2
    )
    assert not skipped
    for one in timed:
        assert one.latencies[1].executions == 2
        assert one.latencies[1].block_medians_s().shape == (2, 2)


def test_a_measurement_that_is_stopped_is_none(folder: Path) -> None:
    with pytest.raises(Stopped):
        contest(
            [Entry("a", folder, "eager")],
            CONDITIONS,
            batch_sizes=(1,),
            warmup_s=0.0,
            blocks=2,
            block_s=0.01,
            should_stop=lambda: True,
        )


def test_warm_up_ends_when_three_windows_agree() -> None:
    assert not is_stable([1.0, 1.0])
    assert not is_stable([2.0, 1.0, 1.0])
    assert is_stable([2.0, 1.01, 0.99, 1.0])


def test_the_first_call_of_a_turn_is_not_counted() -> None:
    calls = iter([100.0, 1.0, 2.0, 3.0])
    assert turn(lambda: next(calls), 0.0) == [1.0, 2.0, 3.0]
