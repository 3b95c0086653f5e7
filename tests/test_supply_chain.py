"""What is shipped is pinned, locked by hash, and listed with its licence."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools.distributions import is_torch, pins
from tools.licences import PAGE
from tools.lock import LOCKS, locked

ROOT = Path(__file__).parents[1]


def locks(file: str) -> dict[str, tuple[str, int]]:
    """Version and number of hashes, by name."""
    text = (ROOT / file).read_text("utf-8")
    blocks = re.findall(
        r"^(\S+)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}.*\n)+)", text, re.MULTILINE
    )
    return {name: (version, hashes.count("sha256:")) for name, version, hashes in blocks}


@pytest.mark.parametrize("file", LOCKS)
def test_a_lock_holds_all_that_its_extras_bring_at_the_versions_that_were_tested(file: str) -> None:
    found = locks(file)
    assert sorted(found) == locked(LOCKS[file])
    assert {name: version for name, (version, _) in found.items()} == {
        name: version for name, version in pins().items() if name in found
    }
    assert all(hashes for _, hashes in found.values())


@pytest.mark.parametrize("file", LOCKS)
def test_a_lock_names_no_host_and_nothing_of_the_torch_family(file: str) -> None:
    assert "://" not in (ROOT / file).read_text("utf-8")
    assert not [name for name in locks(file) if is_torch(name)]


def test_every_pinned_distribution_is_listed_with_its_licence() -> None:
    rows = re.findall(r"^\| (\S+) \| (\S+) \| (.+?) \| \S", PAGE.read_text("utf-8"), re.MULTILINE)
    listed = {name: version for name, version, _ in rows}
    assert {name: version for name, version in listed.items() if name in pins()} == pins()


def test_the_source_pleases_bandit() -> None:
    command = [str(Path(sys.executable).with_name("bandit")), "--quiet", "--recursive"]
    command += ["--configfile", "pyproject.toml", "service/key_text.py", "service/auth.py", "tools"]
    lint = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert lint.returncode == 0, lint.stdout
