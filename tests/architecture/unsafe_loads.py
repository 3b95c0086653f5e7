"""A lint of our own: calls that can run what a file says, which ruff and bandit mostly miss.

`python -m tests.architecture.unsafe_loads` prints each finding and exits 1 if there is one.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
CHECKED: Final = ("service", "worker", "modelpress.py", "benchmarks")

FORBIDDEN_CALLS: Final = {
    "torch.export.load": "runs pickled payloads; take safetensors or ONNX",
    "torch.jit.load": "runs TorchScript; take safetensors",
    "shutil.unpack_archive": "trusts the names in an archive",
}
FORBIDDEN_MODULES: Final = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "joblib",
    "marshal",
    "shelve",
}
FORBIDDEN_METHODS: Final = {
    "extractall": "trusts the names in an archive; copy each checked member",
}

EXCEPTIONS: Final = {
    # The parity check of an export: it loads what the same function has just written.
    ("worker/engine/export/pt2.py", "torch.export.load"),
}


def findings(source: str) -> Iterator[tuple[int, str]]:
    """(line, what is wrong) for each unsafe call or import in Python source."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=aliases):
                yield from _imports(node.lineno, [alias.name for alias in aliases])
                yield from _renamed(node.lineno, [a.name for a in aliases if a.asname is not None])
            case ast.ImportFrom(module=str(module), names=aliases):
                yield from _imports(node.lineno, [module])
                yield from _renamed(node.lineno, [f"{module}.{alias.name}" for alias in aliases])
            case ast.Call():
                yield from _call(node)
            case _:
                pass


def _imports(line: int, names: list[str]) -> Iterator[tuple[int, str]]:
    for name in names:
        if name.partition(".")[0] in FORBIDDEN_MODULES:
            yield line, f"import of {name}: it runs what it reads"


def _renamed(line: int, names: list[str]) -> Iterator[tuple[int, str]]:
    """Under another name a call would be looked for in vain."""
    unsafe = {*FORBIDDEN_CALLS, "torch.load"}
    for name in names:
        if name in unsafe or any(call.startswith(f"{name}.") for call in unsafe):
            yield line, f"{name} under a name of its own: call it by its full one"


def _call(node: ast.Call) -> Iterator[tuple[int, str]]:
    name = _dotted(node.func)
    keywords = {k.arg: k.value for k in node.keywords}
    if name in FORBIDDEN_CALLS:
        yield node.lineno, f"{name}: {FORBIDDEN_CALLS[name]}"
    if name == "torch.load" and not _is(keywords.get("weights_only"), True):
        yield node.lineno, "torch.load without weights_only=True"
    if _is(keywords.get("allow_pickle"), True):
        yield node.lineno, "allow_pickle=True"
    if _is(keywords.get("shell"), True):
        yield node.lineno, "shell=True"
    method = name.rpartition(".")[2]
    if method in FORBIDDEN_METHODS:
        yield node.lineno, f"{method}: {FORBIDDEN_METHODS[method]}"


def _is(node: ast.expr | None, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def main() -> int:
    """Look through everything that ships."""
    found = 0
    for name in CHECKED:
        path = ROOT / name
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        for file in files:
            for line, what in findings(file.read_text(encoding="utf-8")):
                name = file.relative_to(ROOT).as_posix()
                if (name, what.partition(":")[0]) in EXCEPTIONS:
                    continue
                sys.stdout.write(f"{name}:{line}: {what}\n")
                found += 1
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
