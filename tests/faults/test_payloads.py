"""Hostile files: nothing in them runs."""

import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from service.embedded import Stack
from tests.faults.marks import Marks
from tests.faults.payloads import payloads
from tests.faults.pickles import torch_payloads
from tests.faults.send import send_all

_TRUSTING = """
import sys, warnings
from pathlib import Path
import torch
warnings.simplefilter("ignore")
for path in Path(sys.argv[1]).iterdir():
    try:
        torch.load(path, weights_only=False)
    except BaseException:
        continue
"""


def test_the_pickles_run_in_whoever_trusts_them(marks: Marks, tmp_path: Path) -> None:
    """Else the next test would show nothing."""
    files = [data for _, data in torch_payloads(marks.command)]
    for number, data in enumerate(files):
        (tmp_path / f"{number}.pt").write_bytes(data)
    subprocess.run([sys.executable, "-c", _TRUSTING, str(tmp_path)], check=True, timeout=120)
    assert len(marks.found()) >= 25, "too few of the payloads work"


@pytest.mark.timeout(600)
def test_no_payload_runs_and_each_that_is_no_model_is_refused(
    stack: Stack, http: httpx2.Client, marks: Marks
) -> None:
    cases = list(payloads(marks))
    assert len(cases) >= 150
    verdicts = list(send_all(http, cases, at_once=2))
    assert marks.found() == set(), "something ran"
    assert [str(verdict) for verdict in verdicts if not verdict.good] == []
    stack.check()
