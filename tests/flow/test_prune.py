"""A model is pruned on the real stack, and what is downloaded is what was measured."""

import json
from pathlib import Path

import pytest
import torch

import modelpress
from modelpress import Client
from service.client import Invalid
from service.contract.prune_result import PruneResult
from service.contract.specs import PlanResult


def test_a_chain_of_train_and_prune_makes_a_smaller_model_that_reloads(
    client: Client, tmp_path: Path
) -> None:
    trained = client.train(
        {"architecture": "mlp", "options": {"hidden": [64]}}, "digits", training={"epochs": 4}
    )
    cut = client.prune(trained, "digits", finetune={"epochs": 2}, latency_batch_sizes=[1])
    sparse = client.prune(
        trained,
        "digits",
        method={"name": "unstructured", "sparsity": 0.9},
        finetune=None,
        latency_batch_sizes=[],
    )
    planned = client.prune(trained, "digits", dry_run=True)

    result = cut.wait(timeout=120).result
    zeros = sparse.wait(timeout=60).result
    plan = planned.wait(timeout=60).result

    assert isinstance(result, PruneResult)
    assert isinstance(zeros, PruneResult)
    assert isinstance(plan, PlanResult)
    # 3072·h + h, then h·10 + 10, for 64 and 32.
    assert result.original.parameters == 3083 * 64 + 10
    assert result.facts.parameters == plan.models[1].parameters == 3083 * 32 + 10
    assert [one.batch_size for one in result.latencies] == [1]
    folder = cut.model.download(tmp_path / "cut")
    steps = json.loads((folder / "config.json").read_text())["compression"]
    assert [step["kind"] for step in steps] == ["prune"]
    module = modelpress.load(folder)
    assert module(torch.zeros(1, 3, 32, 32)).shape == (1, 10)
    assert zeros.sparse_bytes is not None
    assert zeros.size_ratio < 0.25
    names = {file.name for file in (sparse.model.download(tmp_path / "sparse")).iterdir()}
    assert "model.sparse.safetensors" in names
    assert [model.id for model in cut.model.lineage().ancestors] == [result.original.model]


def test_a_spec_whose_parts_do_not_go_together_is_refused_with_a_reason(client: Client) -> None:
    job = "job_01JD8Z6Q5T3V9X7B2C4D6F8G0H"
    with pytest.raises(Invalid, match="n must be below m"):
        client.prune(job, "digits", method={"name": "n_m", "n": 4, "m": 4})
    with pytest.raises(Invalid, match="needs finetune"):
        client.prune(job, "digits", schedule={"name": "cubic"}, finetune=None)
    with pytest.raises(Invalid, match="name one at least"):
        client.prune(job, "digits", targets={})
