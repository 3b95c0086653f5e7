"""Every block of every page is run or held against something; one that no rule covers fails."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pytest
import yaml

from service.config import Settings
from service.contract.wire import Problem
from tests.documents.blocks import BLOCKS, ROOT, SHELL, Block, is_spec, lines
from tests.documents.curl import Request, requests
from tests.documents.script import NOT_RUN
from tools.reference.http import document

# Run by tests/flow/test_documents.py, on a running service.
RUN: Final = ("README.md", "README.zh-CN.md", "tutorial.md")
PYTHON_RUN: Final = (
    *RUN,
    "bring-your-own-model.md",
    "choose-a-method.md",
    "compare.md",
    "export.md",
    "hugging-face.md",
    "sdk.md",
    "webhooks.md",
)
# Shown, not run: each needs what a test has not.
SHOWN: Final = {
    "airflow ": "Airflow",
    "argo ": "a cluster",
    "cp .env.example .env": "Docker",
    "docker ": "Docker; the files are held against their schemas in test_containers.py",
    "hf ": "an account of the Hugging Face hub",
    "helm ": "a cluster",
    "kubectl ": "a cluster",
    "promtool ": "Prometheus",
}
PYTHON_SHOWN: Final = {"mlflow.md": "an MLflow server, which tests/mlflow starts"}
# YAML that is no job spec, by a key at its top: for whom it is.
FOREIGN: Final = {"scrape_configs": "Prometheus", "apiVersion": "Kubernetes", "on": "GitHub"}


def _sh(block: Block) -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for words in lines(block):
        line = " ".join(words)
        match words:
            case ["modelpress", *_]:  # each is parsed in tests/test_docs.py
                pass
            case ["curl", *_]:  # each is held against the routes below
                pass
            case ["make", target, *_] if target.isalpha() or "-" in target:
                assert re.search(
                    rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE
                )
            case ["make"]:
                pass
            case ["pip", "install", *rest]:
                _installs(rest, known["optional-dependencies"])
            case ["python3", "-m", "venv" | "zipfile", *_] | [".", ".venv/bin/activate"]:
                pass
            case _ if all(re.match(r"\w+=", word) for word in words[:-2]) and (
                "modelpress" in words or len(words) == 1
            ):  # a variable, for a command or for later
                pass
            case ["export", *assigned]:
                _exports([word.partition("=")[0] for word in assigned])
            case ["id_of()", *_]:
                assert block.page in RUN
            case _:
                assert any(line.startswith(start) for start in SHOWN), f"{block.page}: {line}"


def _installs(words: list[str], extras: Mapping[str, object]) -> None:
    for word in words:
        named = re.search(r"\[(.+)\]", word)
        if named:
            assert set(named[1].split(",")) <= set(extras), word
        elif word.startswith("./"):
            assert (ROOT / word / "pyproject.toml").exists()
        elif word != "-c":
            assert word in {"constraints.txt", "huggingface_hub"}, word


def _exports(names: list[str]) -> None:
    """Settings of ours; those of OpenTelemetry and MLflow are their own."""
    ours = {f"MODELPRESS_{name.upper()}" for name in Settings.model_fields}
    clients = {"MODELPRESS_URL", "MODELPRESS_KEY"}
    assert [
        n for n in names if n not in ours | clients and not n.startswith(("OTEL_", "MLFLOW_"))
    ] == []


def _json(block: Block) -> None:
    if block.page == "errors.md":
        Problem.model_validate_json(block.text)
    elif block.page == "webhooks.md":  # tests/api/test_webhooks.py has real ones
        assert set(json.loads(block.text)) == {"type", "timestamp", "data"}
    else:  # lines of a log
        assert block.page == "observe.md"
        assert all({"event", "level"} <= set(json.loads(line)) for line in block.text.splitlines())


def _toml(block: Block) -> None:
    example = tomllib.loads((ROOT / "docs/examples/tinyformer/pyproject.toml").read_text("utf-8"))
    shown = tomllib.loads(block.text)["project"]["entry-points"]
    assert shown == example["project"]["entry-points"]


def _yaml(block: Block) -> None:
    if not is_spec(block):  # a spec is held against the contract in tests/test_docs.py
        loaded = yaml.load(block.text, Loader=yaml.BaseLoader)  # which leaves `on` a word
        assert set(loaded) & set(FOREIGN), f"{block.page}: YAML that is neither a job's nor known"


def _python(block: Block) -> None:
    assert block.page in (*PYTHON_RUN, *PYTHON_SHOWN), (
        f"{block.page}: run it in tests/flow/test_documents.py"
    )


def _file(block: Block) -> None:
    """A whole file of Python, for another program."""
    assert block.page == "airflow.md"  # read in test_recipes.py, run in tests/flow/test_recipes.py


def _as_it_is(block: Block) -> None:
    """Not for a machine: output, drawings, an image of the reader's own."""


_RULES: Final[dict[str, Callable[[Block], None]]] = {
    "sh": _sh,
    "json": _json,
    "toml": _toml,
    "python": _python,
    "py": _file,
    "yaml": _yaml,
    "yml": _yaml,
    "text": _as_it_is,
    "mermaid": _as_it_is,  # held against the moves in tests/test_docs.py
    "dockerfile": _as_it_is,
}


@pytest.mark.parametrize(
    "block", BLOCKS, ids=[f"{block.page}-{block.language}" for block in BLOCKS]
)
def test_every_block_is_covered_by_a_rule(block: Block) -> None:
    assert block.language in _RULES, f"{block.page}: say what the block is after its fence"
    _RULES[block.language](block)


@pytest.fixture(scope="module")
def openapi() -> Mapping[str, Any]:
    return document()


def test_every_call_with_curl_is_one_that_the_service_takes(openapi: Mapping[str, Any]) -> None:
    found = list(requests())
    assert len(found) > 15
    assert [wrong for sent in found for wrong in _wrong(openapi, sent)] == []


def _wrong(openapi: Mapping[str, Any], sent: Request) -> Iterator[str]:
    """What the OpenAPI document has against a request."""
    where = f"{sent.page}: {sent.method} {sent.path}"
    template = _route(openapi["paths"], sent.path)
    operation = openapi["paths"].get(template, {}).get(sent.method.lower())
    if operation is None:
        yield f"{where} is no route"
        return
    places = {(each["in"], each["name"].lower()) for each in operation.get("parameters", ())}
    yield from (f"{where}: no {name}" for name in sent.query if ("query", name) not in places)
    taken = {"authorization", "content-type", "accept"}
    for name in sent.headers:
        if name not in taken and ("header", name) not in places:
            yield f"{where}: no header {name}"
    if operation.get("security") and "authorization" not in sent.headers:
        yield f"{where} needs a key"
    if sent.body and sent.headers.get("content-type") != "application/json":
        yield f"{where}: a body of JSON says so"


def _route(paths: Mapping[str, Any], path: str) -> str:
    """Its template; the literal one before one with variables."""
    if path in paths:
        return path
    patterns = {re.sub(r"\{\w+(?::path)?\}", "[^/]+", template): template for template in paths}
    return next((t for pattern, t in patterns.items() if re.fullmatch(pattern, path)), path)


def test_a_call_that_the_service_would_refuse_is_told(openapi: Mapping[str, Any]) -> None:
    key = {"authorization": "Bearer mp_…"}
    wrong = [
        Request("page", "GET", "/v1/jbos", frozenset(), key, None),
        Request("page", "DELETE", "/v1/jobs", frozenset(), key, None),
        Request("page", "GET", "/v1/jobs", frozenset({"state"}), key, None),
        Request("page", "GET", "/v1/jobs/job_1", frozenset(), {}, None),
        Request("page", "POST", "/v1/jobs", frozenset(), key, "{}"),
    ]
    told = [list(_wrong(openapi, sent)) for sent in wrong]
    assert [len(each) for each in told] == [1, 1, 1, 1, 1]
    assert list(_wrong(openapi, Request("page", "GET", "/v1/jobs", frozenset(), key, None))) == []


def test_pages_that_are_run_leave_out_only_what_is_named() -> None:
    left_out = [
        block.text
        for block in SHELL
        if block.page in RUN and any(word in block.text for word in NOT_RUN)
    ]
    assert len(left_out) == 2 * 3 + 1  # both READMEs: make, up, Docker; the tutorial: install
