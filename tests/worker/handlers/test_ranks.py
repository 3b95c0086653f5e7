"""Jobs of several processes, as their engine child runs them: fork, train together, tell once."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest

from service.contract.specs import SPECS
from service.contract.system import WorkerCapabilities
from service.jobs import requirements_of
from tests.worker.engine.recorder import Recorder
from tests.worker.handlers.conftest import MLP, TEACHERS, MakeJob
from tests.worker.starter import gone, until
from worker.engine_child import processes_by_session
from worker.engine_host import EngineHost
from worker.main import capability_tokens
from worker.ranks import Place, own_device

SCRIPT = """
import json, os, signal, sys
from pathlib import Path
from worker.channel import Channel, pair
from worker.child import main
from worker.engine.train import step

rank, at = json.loads(sys.argv[2])
calls, parent, own = 0, os.getpid(), step.Stepper.__call__

def dying(self, *args):
    global calls
    calls += 1
    if self._group.rank == rank and calls == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return own(self, *args)

if at:
    step.Stepper.__call__ = dying
ours, theirs = pair(send_timeout_s=10)
code = main(Channel(theirs), Path(sys.argv[1]), "job")
told = []
while (message := ours.poll()) is not None:
    told.append(message)
    if message["type"] in ("done", "error"):
        break
print(json.dumps({"code": code, "told": told}))
"""
TRAINING = {
    "epochs": 3, "batch_size": 20, "optimizer": "sgd", "learning_rate": 0.1, "scheduler": "constant"
}  # fmt: skip


def run(folder: Path, spec_gpus: int, *, dies: tuple[int, int] = (0, 0)) -> dict[str, Any]:
    """What the child of a job told, and its exit code."""
    order = json.loads((folder / "order.json").read_text())
    assert order["spec"]["gpus"] == spec_gpus
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), json.dumps(dies)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def result_of(folder: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((folder / "product.json").read_text())["result"]
    return result


def test_a_distillation_in_two_processes_ends_as_in_one(make_job: MakeJob) -> None:
    results = []
    for gpus in (1, 2):
        job = make_job(
            Recorder(), kind="distill", teacher=TEACHERS[0], student=MLP, training=TRAINING,
            precision="fp32", gpus=gpus, latency_batch_sizes=[],
        )  # fmt: skip
        (job.folder / "order.json").write_text(job.order.model_dump_json())
        said = run(job.folder, gpus)
        kinds = [message["type"] for message in said["told"]]
        assert (said["code"], kinds.count("done"), kinds.count("epoch")) == (0, 1, 3)
        results.append(result_of(job.folder))
    one, two = results
    assert two["test"]["correct"] == one["test"]["correct"]
    for ours, theirs in zip(two["history"], one["history"], strict=True):
        assert ours["losses"] == pytest.approx(theirs["losses"], rel=1e-5)


def test_a_child_ends_without_a_word_where_one_of_its_processes_died(make_job: MakeJob) -> None:
    job = make_job(Recorder(), kind="train", model=MLP, training=TRAINING, gpus=2)
    (job.folder / "order.json").write_text(job.order.model_dump_json())
    said = run(job.folder, 2, dies=(1, 4))
    # So the attempt counts and the job is tried again, as after a crash of its only process.
    assert said["code"] == 3
    assert not {"done", "error"} & {message["type"] for message in said["told"]}


@pytest.mark.parametrize(
    ("shown", "expected"), [({}, ["0", "1"]), ({"CUDA_VISIBLE_DEVICES": "5,GPU-a"}, ["5", "GPU-a"])]
)
def test_each_process_sees_one_device(shown: dict[str, str], expected: list[str]) -> None:
    assert [own_device(Place(rank, 2, Path()), shown) for rank in range(2)] == expected


def test_processes_meet_without_a_network_and_end_with_their_child(make_job: MakeJob) -> None:
    endless = {**TRAINING, "epochs": 10_000}
    job = make_job(Recorder(), kind="train", model=MLP, training=endless, gpus=2)
    (job.folder / "order.json").write_text(job.order.model_dump_json())
    with EngineHost(job.folder.parent) as host:
        host.wait_ready(60)
        with host.spawn(job.folder, "job", log_path=job.folder / "log") as child:
            while (message := child.channel.receive(60)) is not None:
                if message["type"] == "epoch":
                    break
            assert message is not None, (job.folder / "log").read_text()
            processes = processes_by_session()[child.pid]
            assert len(processes) == 3
            child.kill()
            assert child.wait(10) is not None
            until(lambda: all(gone(pid) for pid in processes))


@pytest.mark.parametrize(
    ("device", "gpus", "served"),
    [("cuda", 4, {2, 3, 4}), ("cuda", 1, set()), ("cpu", 0, {2, 3, 4, 5, 6, 7, 8})],
)
def test_a_worker_takes_jobs_of_as_many_gpus_as_it_has(
    device: Literal["cpu", "cuda"], gpus: int, served: set[int]
) -> None:
    seen = WorkerCapabilities(
        device=device, device_name="", gpus=gpus, memory_bytes=0, torch="", kinds=("train",),
        losses=(), runtimes=(), datasets=("digits",), architectures={"mlp": ()},
    )  # fmt: skip
    base = {"kind": "train", "dataset": "digits", "model": MLP}
    wanted = {n: SPECS.validate_python({**base, "gpus": n}) for n in range(1, 9)}
    tokens = capability_tokens(seen)
    found = {n for n, spec in wanted.items() if set(requirements_of(spec)) <= tokens}
    assert found == served | {1}
    # On the CPU it is processes, of which any worker has enough.
    on_cpu = SPECS.validate_python({**base, "gpus": 8, "device": "cpu"})
    assert set(requirements_of(on_cpu)) <= tokens


def test_only_jobs_that_train_take_several_gpus() -> None:
    with pytest.raises(ValueError, match="gpus"):
        SPECS.validate_python({"kind": "benchmark", "models": [TEACHERS[0]], "gpus": 2})
