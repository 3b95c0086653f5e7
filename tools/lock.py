"""`make lock`: every file that an index has of each pinned distribution, by its SHA-256.

The torch family is left out: its wheels come from other indexes on other platforms.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from tools.distributions import ROOT, brought_by, is_torch, pins

LOCKS: Final = {
    "requirements.lock": ("api", "worker", "embedded"),
    "requirements-api.lock": ("api",),
    "requirements-worker.lock": ("worker",),
}
_HEAD: Final = (
    "# Made by `make lock` of constraints.txt, for [{extras}] without the torch family.\n"
)


def locked(extras: tuple[str, ...]) -> list[str]:
    """What a lock names. Raises ValueError for something that is not pinned."""
    names = sorted(name for name in brought_by(extras) if not is_torch(name))
    loose = set(names) - set(pins())
    if loose:
        raise ValueError(f"constraints.txt pins no version of {', '.join(sorted(loose))}")
    return names


def hashed(names: list[str]) -> dict[str, str]:
    """The lines of each, asked of the index."""
    versions = pins()
    text = "".join(f"{name}=={versions[name]}\n" for name in names)
    options = ["--no-deps", "--generate-hashes", "--no-header", "--no-annotate", "--quiet"]
    uv = str(Path(sys.executable).with_name("uv"))
    command = [uv, "pip", "compile", *options, "--python-version", "3.11", "-"]
    made = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if made.returncode:
        raise SystemExit(made.stderr)
    blocks = re.findall(r"^\S+==\S+ \\\n(?:    --hash=.*\n)+", made.stdout, re.MULTILINE)
    return {block.partition("==")[0]: block for block in blocks}


def main() -> None:
    """Write the locks."""
    chosen = {file: locked(extras) for file, extras in LOCKS.items()}
    lines = hashed(sorted({name for names in chosen.values() for name in names}))
    for file, names in chosen.items():
        head = _HEAD.format(extras=",".join(LOCKS[file]))
        (ROOT / file).write_text(head + "".join(lines[name] for name in names), "utf-8")
        sys.stdout.write(f"{file}: {len(names)} distributions\n")


if __name__ == "__main__":
    main()
