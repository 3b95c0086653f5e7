"""The files that the how-tos for other platforms print, as far as they can be read offline."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.contract.specs import SPECS
from tests.documents.blocks import ROOT
from tests.documents.recipes import argo_template, github_steps, printed
from tests.test_containers import parsing

_HEREDOC = re.compile(r"<<EOF\n(.*?)^EOF$", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"(?:^|\$\(|')modelpress ([^;&)<'\n]+)", re.MULTILINE)
_ID = "mdl_01JD8Z6Q5T3V9X7B2C4D6F8G0H"

SCRIPTS = {
    "github-actions.md": "\n".join(step["run"] for step in github_steps() if "run" in step),
    "argo.md": argo_template()["script"]["source"],
}


@pytest.mark.parametrize("page", SCRIPTS)
def test_every_command_of_a_recipe_exists(page: str) -> None:
    commands = [shlex.split(found) for found in _COMMAND.findall(SCRIPTS[page])]
    assert [words[:2] for words in commands if words[0] == "jobs"][:1] == [["jobs", "submit"]]
    assert len(commands) >= 5
    for words in commands:
        assert parsing(words).exit_code == 0, words


@pytest.mark.parametrize("page", SCRIPTS)
def test_the_script_of_a_recipe_is_bash(page: str) -> None:
    done = subprocess.run(["bash", "-n"], input=SCRIPTS[page], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def specs() -> dict[str, Any]:
    found = {}
    for page, script in SCRIPTS.items():
        [text] = _HEREDOC.findall(script)
        filled = text.replace("$MODEL", _ID).replace("$DATASET", "digits")
        found[page] = yaml.safe_load(filled)
    [assigned] = [
        node.value
        for node in ast.walk(ast.parse(printed("airflow.md", "py")))
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "spec"
    ]
    text = ast.unparse(assigned).replace("context['params']['model']", repr(_ID))
    found["airflow.md"] = ast.literal_eval(text.replace("context['params']['dataset']", "'digits'"))
    return found


@pytest.mark.parametrize(("page", "spec"), specs().items())
def test_the_spec_of_a_recipe_is_taken_and_promises_something(
    page: str, spec: dict[str, Any]
) -> None:
    taken = SPECS.validate_python(spec)
    assert taken.kind == "quantize"
    assert taken.targets is not None


def test_the_workflow_for_github_checks_against_its_schema(tmp_path: Path) -> None:
    (tmp_path / "compress.yml").write_text(printed("github-actions.md", "yml"))
    done = subprocess.run(
        [
            Path(sys.executable).with_name("check-jsonschema"),
            "--builtin-schema=vendor.github-workflows",
            tmp_path / "compress.yml",
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout


def test_no_input_of_a_workflow_is_pasted_into_a_script() -> None:
    # an input such as `$(…)` would be run
    for step in github_steps():
        assert "${{" not in step.get("run", "")
    assert "{{" not in argo_template()["script"]["source"]


def test_the_template_for_argo_hands_on_what_its_script_writes() -> None:
    template = argo_template()
    script = template["script"]
    assert script["workingDir"] == "/tmp"
    paths = [output["valueFrom"]["path"] for output in template["outputs"]["parameters"]]
    paths += [output["path"] for output in template["outputs"]["artifacts"]]
    for path in paths:
        assert re.search(rf"\b{re.escape(Path(path).name)}\b", script["source"])
        assert Path(path).parent == Path(script["workingDir"])
    assert script["image"].startswith("modelpress-api:")
    version = re.findall(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert script["image"].endswith(f":{version[0]}")
    used = set(re.findall(r"\$([A-Z]+)\b", script["source"]))
    assert used <= {entry["name"] for entry in script["env"]}


def test_the_dag_names_only_what_airflow_and_the_client_have() -> None:
    tree = ast.parse(printed("airflow.md", "py"))
    imported = {
        (node.module, name.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    assert {module for module, _ in imported} == {
        "airflow.exceptions",
        "airflow.sdk",
        "datetime",
        "modelpress",
        "pathlib",
        "typing",
    }
    assert ("modelpress", "Client") in imported
