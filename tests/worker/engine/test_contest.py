"""Timing processes and the one who lets them take turns."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from worker.engine.errors import Stopped
from worker.engine.measure.conductor import _Team, contest
from worker.engine.measure.contestant import Conditions, Contestant, Entry, ProcessFacts
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


def test_one_whose_process_is_killed_is_left_out_and_the_others_go_on(folder: Path) -> None:
    killed: list[int] = []
    others = set(_children())  # the tests' own Postgres may be one of them

    def kill_the_first() -> None:
        if not killed:
            killed.append(next(pid for pid in _children() if pid not in others))
            os.kill(killed[0], signal.SIGKILL)

    timed, skipped = contest(
        [Entry(name, folder, "onnxruntime") for name in "ab"],
        CONDITIONS,
        batch_sizes=(1, 2),
        warmup_s=0.0,
        blocks=3,
        block_s=0.0,
        on_block=kill_the_first,
    )
    assert [(one.entry.name, one.code) for one in skipped] == [("a", "out_of_memory")]
    assert [one.entry.name for one in timed] == ["b"]
    assert [len(one.block_sizes) for one in timed[0].latencies.values()] == [3, 3]


def _children() -> list[int]:
    """Our own children, the oldest first."""
    own = f"/proc/self/task/{os.getpid()}/children"
    return sorted(int(pid) for pid in Path(own).read_text(encoding="ascii").split())


@pytest.mark.parametrize(("runtime", "cold_start_s"), [("torch_compile", 90.0), ("eager", 3.0)])
def test_a_cold_start_that_compiles_is_that_of_the_process_which_compiled(
    runtime: str, cold_start_s: float, tmp_path: Path
) -> None:
    team = _Team(Entry("a", tmp_path, runtime), tuple(map(_Told, (90.0, 2.0, 3.0))))  # type: ignore[arg-type]
    assert team.facts().cold_start_s == cold_start_s


@dataclass(frozen=True)
class _Told:
    """A process whose cold start is known."""

    cold_start_s: float

    def facts(self) -> ProcessFacts:
        return ProcessFacts("fp32", self.cold_start_s, 2, 1, None, 1, 0.0)


def test_models_do_not_share_what_they_compile(folder: Path, tmp_path: Path) -> None:
    places = set()
    for name in "ab":
        with Contestant(Entry(name, folder, "eager"), CONDITIONS, tmp_path / name) as one:
            one.load(1)  # an answer: its environment is in place
            environment = Path(f"/proc/{one._process.pid}/environ").read_bytes().split(b"\0")
            places |= {each for each in environment if each.startswith(b"TORCHINDUCTOR_CACHE_DIR")}
    assert places == {
        f"TORCHINDUCTOR_CACHE_DIR={tmp_path}/{name}/compiled".encode() for name in "ab"
    }


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
