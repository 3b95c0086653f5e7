"""The Helm chart, rendered by Helm's own library and held against Kubernetes' schemas."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml
from sqlalchemy import text

from service.config import Settings
from service.contract.lifecycle import LEASED
from service.store.session import Database
from service.store.workers import WorkerStore
from tests.store.conftest import Jobs, Watch
from tests.store.samples import GPU, WORKER, worker_row
from tests.test_containers import compose, exec_form, parsing

CHART = Path(__file__).parents[1] / "deploy" / "helm" / "modelpress"
OLDEST, NEWEST = "1.25.0", "1.37.0"  # of Kubernetes

Objects = dict[tuple[str, str], dict[str, Any]]

SCALED = {"autoscaling": {"enabled": True}}
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "gpu": {"workers": {"gpu": {"enabled": True, "gpus": 2, "runtimeClassName": "nvidia"}}},
    "ingress and keda": {
        "ingress": {"enabled": True, "className": "nginx", "tlsSecret": "tls"},
        "workers": {"cpu": SCALED, "gpu": SCALED | {"enabled": True}},
        "metrics": {"serviceMonitor": {"enabled": True}},
    },
    "everything elsewhere": {
        "image": {"tag": "1.2.3", "pullSecrets": [{"name": "registry"}]},
        "database": {"existingSecret": "pg-app", "key": "uri"},
        "broker": {"existingSecret": "cache", "key": "address"},
        "blobs": {"url": "s3://models/press", "existingSecret": "bucket", "endpoint": "https://s3"},
        "persistence": {"enabled": False},
        "api": {"replicas": 1, "bootstrapKey": {"existingSecret": "first"}},
        "settings": {"LOG_FORMAT": "console", "MAX_QUEUED_JOBS": 100, "MAX_BODY_BYTES": 10_000_000},
        "networkPolicy": {"enabled": True, "workerEgress": [{"ports": [{"port": 5432}]}]},
    },
}


def render(values: dict[str, Any], release: str = "demo") -> Objects:
    with helm_python.Chart.load(CHART) as chart:
        rendered = chart.render(values, name=release, namespace="prod")
    documents = [
        document
        for name, manifest in rendered.items()
        if not name.endswith("NOTES.txt")
        for document in yaml.safe_load_all(manifest)
        if document is not None
    ]
    found = {(item["kind"], item["metadata"]["name"]): item for item in documents}
    assert len(found) == len(documents), "two objects have one name"
    return found


@pytest.fixture(params=VARIANTS, scope="module")
def objects(request: pytest.FixtureRequest) -> Objects:
    """What the variants render to."""
    return render(VARIANTS[request.param])


def pods(objects: Objects) -> Iterator[tuple[str, dict[str, Any]]]:
    for (kind, name), item in objects.items():
        if kind in ("Deployment", "Job"):
            yield name, item["spec"]["template"]["spec"]


def container(objects: Objects, kind: str, name: str) -> dict[str, Any]:
    [found] = objects[kind, name]["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("values", VARIANTS.values(), ids=list(VARIANTS))
def test_helm_finds_nothing_wrong_with_the_chart(values: dict[str, Any]) -> None:
    report = helm_python.lint(CHART, values, strict=True)
    assert report["errors"] == []
    assert [m for m in report["messages"] if m["severity"] > 1] == []


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_takes_every_object_with_no_unknown_field(
    objects: Objects, version: str
) -> None:
    known = [item for item in objects.values() if "keda" not in item["apiVersion"]]
    for item in known:
        if item["kind"] != "ServiceMonitor":  # of the Prometheus operator
            kubernetes_validate.validate(item, version, strict=True)
    assert len(known) >= 5


def test_every_variable_is_a_setting_of_the_service(objects: Objects) -> None:
    settings = {f"MODELPRESS_{name.upper()}" for name in Settings.model_fields}
    given = {
        name for key, item in objects.items() if key[0] == "ConfigMap" for name in item["data"]
    }
    for _, pod in pods(objects):
        given |= {entry["name"] for entry in pod["containers"][0]["env"]}
    ours = {name for name in given if name.startswith("MODELPRESS_")}
    assert {"MODELPRESS_DATABASE_URL", "MODELPRESS_BROKER_URL", "MODELPRESS_DEVICE"} <= ours
    assert ours <= settings
    assert given - ours <= {"HOME", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


def test_no_value_of_a_secret_stands_in_an_object(objects: Objects) -> None:
    for _, pod in pods(objects):
        for entry in pod["containers"][0]["env"]:
            if re.search("URL|KEY|SECRET", entry["name"]):
                assert set(entry["valueFrom"]) == {"secretKeyRef"}
    assert not [key for key in objects if key[0] == "Secret"]


def test_every_container_starts_a_command_that_exists(objects: Objects) -> None:
    assert exec_form("runtime", "ENTRYPOINT") == ["modelpress"]
    commands = [pod["containers"][0]["args"] for _, pod in pods(objects)]
    commands += [
        probe["exec"]["command"][1:]
        for _, pod in pods(objects)
        for probe in (pod["containers"][0].get("readinessProbe", {}),)
        if "exec" in probe
    ]
    assert ["worker-health"] in commands
    for command in commands:
        assert parsing(command).exit_code == 0, command


def test_no_container_runs_as_root_or_writes_to_its_image(objects: Objects) -> None:
    for name, pod in pods(objects):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        [one] = pod["containers"]
        assert one["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in one["resources"]["limits"]
        writable = {mount["mountPath"] for mount in one["volumeMounts"]}
        assert "/tmp" in writable
        assert name.endswith("migrate") or "/data" in writable
        mounted = {mount["name"] for mount in one["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_the_user_and_the_data_folder_are_those_of_the_images(objects: Objects) -> None:
    for _, pod in pods(objects):
        assert pod["securityContext"]["runAsUser"] == 10001
    assert "10001" in (CHART.parents[2] / "Dockerfile").read_text()


def test_selectors_find_their_pods_and_no_others(objects: Objects) -> None:
    labels = {
        (kind, name): item["spec"]["template"]["metadata"]["labels"]
        for (kind, name), item in objects.items()
        if kind in ("Deployment", "Job")
    }

    def selected(selector: dict[str, str]) -> list[tuple[str, str]]:
        return [key for key, has in labels.items() if selector.items() <= has.items()]

    for (kind, name), item in objects.items():
        match kind:
            case "Deployment" | "PodDisruptionBudget":
                selector = item["spec"]["selector"]["matchLabels"]
                assert selected(selector) == [("Deployment", name)]
            case "Service":
                assert selected(item["spec"]["selector"]) == [("Deployment", f"{name}-api")]
            case "NetworkPolicy":
                chosen = selected(item["spec"]["podSelector"]["matchLabels"])
                assert chosen
                assert all("-worker-" in name for _, name in chosen)
            case _:
                pass


def test_the_schema_is_migrated_before_anything_else_of_the_release_is_there() -> None:
    job = render({})["Job", "demo-modelpress-migrate"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["db", "upgrade"]
    names = {volume["name"] for volume in job["spec"]["template"]["spec"]["volumes"]}
    assert names == {"tmp"}  # the claim is made after the hook
    assert "envFrom" not in job["spec"]["template"]["spec"]["containers"][0]


def test_the_api_is_probed_where_it_listens_and_restarted_only_when_it_does_not_answer() -> None:
    one = container(render({}), "Deployment", "demo-modelpress-api")
    assert one["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "http"}
    assert one["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert one["ports"] == [{"name": "http", "containerPort": int(one["args"][-1])}]
    assert one["args"] == exec_form("api", "CMD")


def test_a_worker_is_given_longer_to_stop_than_its_drain_takes() -> None:
    for drain_s in (25, 300):
        objects = render({"worker": {"drainSeconds": drain_s}})
        told = objects["ConfigMap", "demo-modelpress"]["data"]["MODELPRESS_DRAIN_S"]
        deployment = objects["Deployment", "demo-modelpress-worker-cpu"]
        pod = deployment["spec"]["template"]["spec"]
        assert float(told) == drain_s
        assert pod["terminationGracePeriodSeconds"] == 2 * drain_s + 10
        assert "lifecycle" not in pod["containers"][0]
        assert "livenessProbe" not in pod["containers"][0]
    assert Settings.model_fields["drain_s"].default == 25.0


def test_a_class_of_gpu_workers_asks_for_its_gpus_and_the_other_for_none() -> None:
    objects = render(VARIANTS["gpu"])
    gpu = container(objects, "Deployment", "demo-modelpress-worker-gpu")
    assert gpu["resources"]["limits"] == {"memory": "64Gi", "nvidia.com/gpu": 2}
    assert {"name": "MODELPRESS_DEVICE", "value": "cuda"} in gpu["env"]
    cpu = container(objects, "Deployment", "demo-modelpress-worker-cpu")
    assert cpu["resources"]["limits"] == {"memory": "16Gi"}
    assert {"name": "MODELPRESS_DEVICE", "value": "cpu"} in cpu["env"]
    pod = objects["Deployment", "demo-modelpress-worker-gpu"]["spec"]["template"]["spec"]
    assert pod["runtimeClassName"] == "nvidia"
    assert pod["tolerations"][0]["key"] == "nvidia.com/gpu"


def test_a_class_of_ones_own_stands_beside_the_others() -> None:
    mine = {
        "enabled": True,
        "device": "cuda",
        "replicas": 3,
        "slots": 1,
        "gpus": 8,
        "resources": {"limits": {"memory": "1Ti"}},
        "autoscaling": {"enabled": False},
        "nodeSelector": {"gpu": "large"},
    }
    spec = render({"workers": {"large": mine}})["Deployment", "demo-modelpress-worker-large"][
        "spec"
    ]
    assert spec["replicas"] == 3
    assert spec["template"]["spec"]["nodeSelector"] == {"gpu": "large"}


def test_shared_memory_is_as_large_as_in_compose() -> None:
    pod = render({})["Deployment", "demo-modelpress-worker-cpu"]["spec"]["template"]["spec"]
    [shm] = [volume for volume in pod["volumes"] if volume["name"] == "shm"]
    assert shm["emptyDir"] == {"medium": "Memory", "sizeLimit": "2Gi"}
    assert compose()["services"]["worker"]["shm_size"] == "2gb"


def test_keda_has_all_that_its_scaled_object_asks_for() -> None:
    objects = render(VARIANTS["ingress and keda"])
    for name in ("demo-modelpress-worker-cpu", "demo-modelpress-worker-gpu"):
        scaled = objects["ScaledObject", name]
        assert scaled["apiVersion"] == "keda.sh/v1alpha1"
        spec = scaled["spec"]
        assert set(spec) == {
            "scaleTargetRef",
            "minReplicaCount",
            "maxReplicaCount",
            "pollingInterval",
            "cooldownPeriod",
            "advanced",
            "triggers",
        }
        target = objects["Deployment", spec["scaleTargetRef"]["name"]]
        assert "replicas" not in target["spec"]  # Helm and KEDA would take turns
        [trigger] = spec["triggers"]
        assert set(trigger) == {"type", "metricType", "authenticationRef", "metadata"}
        assert (trigger["type"], trigger["metricType"]) == ("postgresql", "AverageValue")
        assert set(trigger["metadata"]) == {"query", "targetQueryValue"}
        assert all(isinstance(value, str) for value in trigger["metadata"].values())
        login = objects["TriggerAuthentication", trigger["authenticationRef"]["name"]]["spec"]
        [secret] = login["secretTargetRef"]
        assert secret == {
            "parameter": "connection",
            "name": "modelpress-database",
            "key": "url",
        }
    assert objects["ScaledObject", "demo-modelpress-worker-cpu"]["spec"]["minReplicaCount"] == 1
    assert objects["ScaledObject", "demo-modelpress-worker-gpu"]["spec"]["minReplicaCount"] == 0


def query(objects: Objects, name: str) -> str:
    [trigger] = objects["ScaledObject", f"demo-modelpress-worker-{name}"]["spec"]["triggers"]
    found = trigger["metadata"]["query"]
    assert isinstance(found, str)
    return found


def test_workers_are_scaled_on_the_rows_that_wait_for_them_and_run_on_them(
    open_database: Callable[..., Database],
) -> None:
    watch = Watch()
    jobs = Jobs(open_database(watch), watch)
    with jobs.database.transaction() as session:
        for worker in (WORKER, GPU):
            WorkerStore(session).register(worker_row(worker))
    jobs.in_state("succeeded")
    first = jobs.add(device="auto")
    jobs.claimed(GPU)  # runs on a GPU, though any worker would have done
    jobs.add(device="auto", references=(first,))  # waits for a job
    jobs.add(device="cuda")
    for _ in range(3):
        jobs.add(device="auto")
    with_both = render(VARIANTS["ingress and keda"])
    gpu_only = {"workers": {"cpu": {"enabled": False}, "gpu": SCALED | {"enabled": True}}}
    with jobs.database.read() as session:

        def counted(sql: str) -> int:
            return int(session.execute(text(sql)).scalar_one())

        assert counted(query(with_both, "gpu")) == 2
        assert counted(query(with_both, "cpu")) == 3
        assert counted(query(render(gpu_only), "gpu")) == 5
    spelled = ", ".join(f"'{status}'" for status in ("running", "cancelling", "pausing"))
    assert set(re.findall(r"'(\w+)'", spelled)) == LEASED
    assert spelled in query(with_both, "cpu")


def test_without_a_volume_every_blob_goes_to_the_bucket() -> None:
    objects = render(VARIANTS["everything elsewhere"])
    assert not [key for key in objects if key[0] == "PersistentVolumeClaim"]
    data = objects["ConfigMap", "demo-modelpress"]["data"]
    assert data["MODELPRESS_BLOBS_URL"] == "s3://models/press"
    assert data["MODELPRESS_MAX_QUEUED_JOBS"] == "100"
    assert data["MODELPRESS_LOG_FORMAT"] == "console"
    assert data["MODELPRESS_MAX_BODY_BYTES"] == "10000000"  # and not 1e+07
    one = container(objects, "Deployment", "demo-modelpress-api")
    assert one["image"] == "modelpress-api:1.2.3"
    url = {"secretKeyRef": {"name": "pg-app", "key": "uri"}}
    assert {"name": "MODELPRESS_DATABASE_URL", "valueFrom": url} in one["env"]
    assert ("PodDisruptionBudget", "demo-modelpress-api") not in objects  # of one pod it blocks


def test_the_ingress_leads_to_the_api_over_tls() -> None:
    objects = render(VARIANTS["ingress and keda"])
    spec = objects["Ingress", "demo-modelpress"]["spec"]
    assert spec["tls"] == [{"hosts": ["modelpress.example.com"], "secretName": "tls"}]
    [path] = spec["rules"][0]["http"]["paths"]
    service = path["backend"]["service"]
    assert ("Service", service["name"]) in objects
    assert service["port"] == {"name": "http"}


@pytest.mark.parametrize(
    "values",
    [
        {"colour": "red"},
        {"api": {"replica": 2}},
        {"settings": {"DATABASE_URL": "postgresql://in-the-open"}},
        {"settings": {"DRAIN_S": 600}},  # the grace of the pods would not follow
        {"blobs": {"url": "gs://bucket"}},
        {"database": {"existingSecret": ""}},
        {"workers": {"gpu": {"device": "cuda", "gpus": 0}}},
        {"workers": {"cpu": {"device": "tpu"}}},
        {"persistence": {"enabled": False}},  # and no bucket
    ],
)
def test_values_that_cannot_work_are_refused(values: dict[str, Any]) -> None:
    with helm_python.Chart.load(CHART) as chart, pytest.raises(helm_python.HelmError):
        chart.render(values, name="demo", namespace="prod")


def test_the_release_tells_how_to_make_the_first_key() -> None:
    with helm_python.Chart.load(CHART) as chart:
        rendered = chart.render({}, name="modelpress", namespace="prod")
    [notes] = [text for name, text in rendered.items() if name.endswith("NOTES.txt")]
    [arguments] = re.findall(r"-- modelpress (.+)", notes)
    assert parsing(arguments.split()).exit_code == 0
    assert "deploy/modelpress-api " in notes


def test_the_chart_installs_the_version_that_it_came_with() -> None:
    project = (CHART.parents[2] / "pyproject.toml").read_text()
    version = re.findall(r'^version = "(.+)"', project, re.MULTILINE)
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert [chart["appVersion"]] == version
