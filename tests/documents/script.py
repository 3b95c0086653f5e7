"""A page as a program for bash: its blocks of shell and Python, one after the other."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tests.documents.blocks import ROOT, blocks

# They would install, start or stop something, or need Docker.
NOT_RUN: Final = ("make ", "pip install", "modelpress up", "docker compose")
_SHORTER: Final[Sequence[tuple[str, str]]] = (
    (r"epochs: \d+", "epochs: 1"),
    (r'"epochs": \d+', '"epochs": 1'),
    (r"executions: \d+", "executions: 1\nblocks: 2\nblock_s: 0.02\nwarmup_s: 0"),
    (r"kind: (distill|prune|quantize)$", r"\g<0>\nlatency_batch_sizes: []"),
    (r'"kind": "distill",', r'\g<0> "latency_batch_sizes": [],'),
    (r"^batch_sizes: .*\nruntimes: .*", "batch_sizes: [1]\nruntimes: [onnxruntime]"),
    (r'"kind": "benchmark",', r'\g<0> "dry_run": true,'),  # the SDK's is a real one
    (r"(client\.distill\(.*)\)$", r"\1, latency_batch_sizes=[])"),
    (r"batch_sizes=\[1, 32\]", "batch_sizes=[1], executions=1, blocks=2, block_s=0.02"),
    (r"cnn_teacher|cnn_student", "mlp"),
)


def shorter(text: str) -> str:
    """The same with one epoch, a small network and hardly any timing: the way, not the quality."""
    for pattern, replacement in _SHORTER:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text


def program(page: Path, change: Callable[[str], str] = shorter) -> str:
    """Text for `bash`, of all blocks but those that are not run."""
    parts = ["set -euo pipefail"]
    for block in blocks(page):
        if block.language == "sh" and not any(word in block.text for word in NOT_RUN):
            parts.append(block.text)
        elif block.language == "python":
            parts.append(f"python - <<'PYTHON'\n{block.text}PYTHON\n")
    return change("\n".join(parts))


def run(text: str, folder: Path, *, url: str, key: str, timeout_s: float) -> str:
    """What it prints. Fails with its last words."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "HOME": str(folder),
        "MODELPRESS_URL": url,
        "MODELPRESS_KEY": key,
        "COLUMNS": "120",
        **{name: value for name, value in os.environ.items() if name.startswith(("OMP_", "GOMP_"))},
    }
    done = subprocess.run(
        ["bash"],
        input=text,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout
