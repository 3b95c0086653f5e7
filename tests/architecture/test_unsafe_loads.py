"""The lint against loads that run code finds what it is for, and nothing in what ships."""

import pytest

from tests.architecture.unsafe_loads import findings, main


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.export.load(path)",
        "torch.jit.load(path)",
        "import pickle",
        "from joblib import load",
        "numpy.load(path, allow_pickle=True)",
        "archive.extractall(folder)",
        "subprocess.run(line, shell=True)",
        "from torch import load",
        "from torch import export as e",
        "import torch as t",
    ],
)
def test_each_unsafe_form_is_found(source: str) -> None:
    assert list(findings(source))


@pytest.mark.parametrize(
    "source",
    [
        "torch.load(path, weights_only=True)",
        "numpy.load(path, allow_pickle=False)",
        "json.load(file)",
        "subprocess.run([program])",
        "from torch import nn",
        "import torch.nn.functional as F",
    ],
)
def test_safe_forms_pass(source: str) -> None:
    assert not list(findings(source))


def test_nothing_that_ships_loads_unsafely(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0, capsys.readouterr().out
