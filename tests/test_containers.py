"""The container files against what they speak of. No engine runs here: nothing is built."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from service.cli.main import app
from service.config import Settings

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE_FILES = ("docker-compose.yml", "docker-compose.cpu.yml")
OURS = ("api", "worker", "migrate")  # the services that run our images


class ComposeLoader(yaml.SafeLoader):
    """Compose's own tag: `!reset` takes a value of the file below away."""


ComposeLoader.add_constructor("!reset", lambda loader, node: None)


def compose(name: str = "docker-compose.yml") -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load((ROOT / name).read_text(), ComposeLoader)
    return loaded


def instructions(text: str = DOCKERFILE) -> list[tuple[str, str]]:
    """(stage, instruction) in order, with lines joined and comments gone."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    found, stage = [], ""
    for line in lines.replace("\\\n", " ").splitlines():
        if named := re.match(r"FROM \S+ AS (\S+)", line):
            stage = named[1]
        if line:
            found.append((stage, line))
    return found


def exec_form(stage: str, instruction: str) -> list[str]:
    [line] = [text for at, text in instructions() if at == stage and text.startswith(instruction)]
    command: list[str] = json.loads(line[line.index("[") :])
    return command


def parsing(arguments: list[str]) -> Result:
    """Parse a command line of `modelpress`, running nothing: `--help` answers after the parser has
    read every word.
    """
    return CliRunner().invoke(app, [*arguments, "--help"])


def started_by(service: str) -> list[str]:
    """The arguments of `modelpress` that a compose service runs."""
    definition = compose()["services"][service]
    arguments: list[str] = definition.get("command") or exec_form(
        definition["build"]["target"], "CMD"
    )
    return arguments


def variables() -> set[str]:
    texts = [DOCKERFILE, *((ROOT / name).read_text() for name in (*COMPOSE_FILES, ".env.example"))]
    return {name for text in texts for name in re.findall(r"MODELPRESS_[A-Z0-9_]+", text)}


def test_the_dockerfile_pleases_its_linter() -> None:
    lint = subprocess.run(
        [BIN / "hadolint", ROOT / "Dockerfile"], capture_output=True, text=True, timeout=60
    )
    assert lint.returncode == 0, lint.stdout


@pytest.mark.parametrize("name", COMPOSE_FILES)
def test_a_compose_file_follows_the_compose_schema(name: str, tmp_path: Path) -> None:
    (tmp_path / "compose.json").write_text(json.dumps(compose(name)))
    check = subprocess.run(
        [
            BIN / "check-jsonschema",
            "--builtin-schema=vendor.compose-spec",
            tmp_path / "compose.json",
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert check.returncode == 0, check.stdout


def test_every_variable_that_is_set_is_a_setting() -> None:
    settings = {f"MODELPRESS_{name.upper()}" for name in Settings.model_fields}
    assert {"MODELPRESS_DATABASE_URL", "MODELPRESS_DEVICE"} <= variables() <= settings


@pytest.mark.parametrize("service", OURS)
def test_every_service_starts_a_command_that_exists(service: str) -> None:
    stage = compose()["services"][service]["build"]["target"]
    assert stage in {at for at, _ in instructions()}
    assert exec_form("runtime", "ENTRYPOINT") == ["modelpress"]
    assert parsing(started_by(service)).exit_code == 0


def test_a_command_that_does_not_exist_would_be_noticed() -> None:
    for wrong in (["apis"], ["api", "--hots", "0.0.0.0"], ["db", "downgrade"]):
        assert parsing(wrong).exit_code == 2


def test_the_commands_in_the_first_lines_of_compose_exist() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    [line] = re.findall(r"exec api modelpress (.+)", text)
    assert parsing(shlex.split(line)).exit_code == 0


def test_the_worker_is_probed_by_a_command_that_exists() -> None:
    program, *arguments = exec_form("worker", "HEALTHCHECK")
    assert program == "modelpress"
    assert parsing(arguments).exit_code == 0


def test_the_api_is_probed_by_a_program_that_compiles_and_asks_where_it_listens() -> None:
    program, option, code = exec_form("api", "HEALTHCHECK")
    assert (program, option) == ("python", "-c")
    compile(code, "HEALTHCHECK", "exec")
    port = exec_form("api", "CMD")[-1]
    assert f":{port}/livez" in code
    assert ("api", f"EXPOSE {port}") in instructions()


@pytest.mark.parametrize("stage", ["api", "worker"])
def test_an_image_does_not_run_as_root(stage: str) -> None:
    [user] = [text for at, text in instructions() if at == stage and text.startswith("USER ")]
    assert int(user.removeprefix("USER ")) > 0


def test_only_the_worker_image_is_given_torch() -> None:
    installs = {at: text for at, text in instructions() if "--constraint constraints.txt" in text}
    assert set(installs) == {"worker-libraries"}
    assert installs["worker-libraries"].split("constraints.txt ")[1].split()[:2] == [
        "torch",
        "torchvision",
    ]
    [copied] = [text for at, text in instructions() if at == "api" and "/opt/modelpress /" in text]
    assert "--from=api-libraries" in copied


@pytest.mark.parametrize("image", ["api", "worker"])
def test_all_other_libraries_are_installed_by_hash(image: str) -> None:
    [install] = [
        text
        for at, text in instructions()
        if at == f"{image}-libraries" and "--requirement" in text
    ]
    assert "pip install --require-hashes --no-deps" in install
    assert f"--requirement requirements-{image}.lock" in install


@pytest.mark.parametrize("image", ["api", "worker"])
def test_an_image_holds_the_list_of_its_parts(image: str) -> None:
    [made] = [text for at, text in instructions() if at == image and "cyclonedx-py" in text]
    assert "/opt/modelpress/bin/python" in made


@pytest.mark.parametrize("service", ["api", "worker"])
def test_a_service_waits_for_what_it_needs(service: str) -> None:
    waits = compose()["services"][service]["depends_on"]
    assert {name: rule["condition"] for name, rule in waits.items()} == {
        "migrate": "service_completed_successfully",
        "postgres": "service_healthy",
        "valkey": "service_healthy",
    }
    for name in ("postgres", "valkey"):
        assert "healthcheck" in compose()["services"][name]


def test_the_worker_is_given_longer_to_stop_than_its_drain_takes() -> None:
    grace = compose()["services"]["worker"]["stop_grace_period"]
    drain_s: float = Settings.model_fields["drain_s"].default
    assert float(grace.removesuffix("s")) >= 2 * drain_s


def test_without_a_gpu_the_worker_asks_for_none() -> None:
    [device] = compose()["services"]["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    override = compose("docker-compose.cpu.yml")["services"]["worker"]
    assert override["deploy"] is None
    assert override["environment"]["MODELPRESS_DEVICE"] == "cpu"


def test_monitoring_is_asked_for_and_mounts_files_that_are_there() -> None:
    services = compose()["services"]
    extra = {name for name, service in services.items() if "profiles" in service}
    assert extra == {"prometheus", "grafana"}
    for name in extra:
        assert services[name]["profiles"] == ["monitoring"]
        mounted = [volume for volume in services[name]["volumes"] if volume.startswith("./")]
        assert mounted
        for volume in mounted:
            path, _, mode = volume.split(":")
            assert (ROOT / path).exists()
            assert mode == "ro"
    [published] = services["grafana"]["ports"]
    assert "127.0.0.1" in published
    assert "ports" not in services["prometheus"]


def test_every_secret_that_compose_asks_for_stands_empty_in_the_example() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    asked = set(re.findall(r"\$\{(\w+):\?", text))
    example = (ROOT / ".env.example").read_text().splitlines()
    assert asked == {"POSTGRES_PASSWORD", "VALKEY_PASSWORD"}
    assert {f"{name}=" for name in asked} <= set(example)
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


def test_all_that_the_images_copy_passes_the_ignore_file() -> None:
    allowed = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = {
        source
        for _, text in instructions()
        if text.startswith("COPY ") and "--from=" not in text
        for source in text.split()[1:-1]
    }
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)
