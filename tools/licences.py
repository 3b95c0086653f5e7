"""`make licences`: under which terms the distributions come that we pin, by their own metadata."""

import sys
from importlib.metadata import Distribution
from typing import Final

from tools.distributions import ROOT, brought_by, installed, is_torch, pins

PAGE: Final = ROOT / "docs" / "licences.md"
_LONGEST: Final = 80
_CLASSIFIER: Final = "License :: "
_HEAD: Final = """# Licences of what Modelpress stands on

Made by `make licences` from the metadata of the distributions that `constraints.txt` pins, and of
the libraries of NVIDIA that torch brings on Linux with CUDA. Modelpress itself is under Apache-2.0.
`development` is not in the images.

| distribution | version | licence | where |
|---|---|---|---|
"""


def terms_of(found: Distribution) -> str:
    """The licence in few words."""
    expressions = found.metadata.get_all("License-Expression") or []
    if expressions:
        return str(expressions[0])
    first = "".join(found.metadata.get_all("License") or []).strip().splitlines()
    if first and first[0] != "UNKNOWN" and len(first[0]) <= _LONGEST:
        return first[0]
    classifiers = found.metadata.get_all("Classifier") or []
    names = [each.rsplit(" :: ", 1)[-1] for each in classifiers if each.startswith(_CLASSIFIER)]
    return ", ".join(names) or "see its files"


def page() -> str:
    """The whole page."""
    versions, here = pins(), installed()
    api, worker = brought_by(["api"]), brought_by(["worker", "embedded"])
    lines = []
    for name in sorted({*versions, *(name for name in here if is_torch(name))}):
        places = [place for place, names in (("api", api), ("worker", worker)) if name in names]
        version = versions.get(name) or here[name].version
        terms = terms_of(here[name]) if name in here else "not installed here"
        lines.append(f"| {name} | {version} | {terms} | {', '.join(places) or 'development'} |")
    return _HEAD + "\n".join(lines) + "\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), "utf-8")
    sys.stdout.write(f"{PAGE.relative_to(ROOT)} is written\n")


if __name__ == "__main__":
    main()
