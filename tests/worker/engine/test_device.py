"""What the machine is said to be, against what torch's own look at the processor finds."""

import sys

import pytest
import torch

from worker.engine.device import compute_capability, cpu_features, has_int8_products

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")


def test_instruction_sets_are_those_that_torch_finds() -> None:
    found = torch.cpu.get_capabilities()
    named = ("avx2", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
    if found["architecture"] != "x86_64":
        pytest.skip("torch has other names on Arm")
    assert {n for n in cpu_features() if n in named} == {n for n in named if found.get(n)}
    if found["avx512_vnni"] or found.get("amx_int8"):
        assert has_int8_products()


def test_a_processor_has_no_generation_of_gpus() -> None:
    assert compute_capability(torch.device("cpu")) is None
