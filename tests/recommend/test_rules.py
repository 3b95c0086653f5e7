"""What is recommended where no job has measured anything: rules, hardware, targets."""

from typing import Any

import pytest

from service.contract.quantize_result import QuantizeResult
from service.contract.recommendations import job_of, with_jobs
from service.contract.specs import SPECS
from service.errors import Invalid
from service.recommend.create import recommendations_for
from service.recommend.judging import check_together, standings
from tests.recommend.samples import (
    GPU,
    KINDS,
    TEACHER,
    WITH_VNNI,
    WITHOUT_VNNI,
    by_method,
    outlook,
    past,
    subject,
    timing,
    workers,
)
from tests.reports.test_graph_reports import quantize

TARGETS: list[dict[str, float]] = [
    {"macs": 0.4},
    {"parameters": 0.05, "max_accuracy_drop_points": 1},
    {"size_bytes": 400_000, "max_accuracy_drop_points": 1},
    {"latency_ms": 1.5, "batch_size": 8},
    {"min_speedup": 6, "max_accuracy_drop_points": 0.5},
    {"max_accuracy_drop_points": 0.5},
]
SUBJECTS: list[dict[str, Any]] = [
    {},
    {"architecture": "mlp", "parameters": 820_874, "macs": 820_480},
    {"architecture": "timm/vit_base_patch16_224", "parameters": 85_000_000},
    {"architecture": "operator/secret", "parameters": None, "macs": None, "size_bytes": None},
    {"architecture": "cifar_resnet8", "parameters": 75_290, "macs": 12_239_488},
    {"architecture": None, "form": "graph", "macs": None},
    {"architecture": "cnn_teacher", "form": "graph", "is_quantized": True},
    {"can": workers(GPU)},
    {"can": workers()},
]


@pytest.mark.parametrize("targets", [None, *TARGETS])
@pytest.mark.parametrize("fields", SUBJECTS)
def test_every_spec_is_one_and_means_the_same_as_it_is_shown(
    targets: dict[str, float] | None, fields: dict[str, Any]
) -> None:
    found = recommendations_for(subject(targets=targets, **fields))
    assert found
    assert [one.rank for one in found] == list(range(1, len(found) + 1))
    for one in found:
        assert one.evidence, one.method
        assert set(outlook(one)) == set(targets or ()) - {"batch_size"}
        for spec in one.specs:
            shown = spec.model_dump(mode="json", exclude_unset=True)
            assert SPECS.validate_python(shown) == spec
        assert (one.chain is None) == (len(one.specs) == 1)


def test_a_chain_names_its_earlier_jobs_by_ids_that_no_job_has() -> None:
    one = by_method(subject(targets={"macs": 0.05}))["structured+distill+static_int8"]
    assert [spec.kind for spec in one.specs] == ["prune", "distill", "quantize"]
    shown = [spec.model_dump(mode="json", exclude_unset=True) for spec in one.specs]
    assert shown[1]["student"] == job_of(1) == "job_00000000000000000000000001"
    assert shown[2]["model"] == job_of(2)
    made = ["job_01JD8Z6Q5T3V9X7B2C4D6F8G0H", "job_01JD8Z6Q5T3V9X7B2C4D6F8G0J"]
    assert with_jobs(shown[1], made)["student"] == made[0]
    assert with_jobs(shown[1], made)["teacher"] == TEACHER
    assert with_jobs(shown[2], made)["model"] == made[1]


def test_a_drop_is_shared_by_the_two_steps_that_promise_it() -> None:
    one = by_method(subject(targets={"macs": 0.5, "max_accuracy_drop_points": 1}))[
        "structured+static_int8"
    ]
    prune, quantize = (spec.model_dump(exclude_unset=True) for spec in one.specs)
    assert prune["targets"] == {"macs": 0.5, "max_accuracy_drop_points": 0.5}
    assert quantize["targets"] == {"max_accuracy_drop_points": 0.5}
    assert outlook(one) == {"macs": "promised", "max_accuracy_drop_points": "promised"}
    # A tenth of a point each is no tenth of a point for both.
    assert "accuracy_change_points" not in one.expected.model_dump(exclude_none=True)


def test_int8_does_its_share_of_bytes_before_channels_go() -> None:
    enough = by_method(subject(targets={"size_bytes": 2_000_000}))
    # At most 0.31 of 5.66 MB are 1.75 MB: nothing need be cut.
    assert outlook(enough["static_int8"]) == {"size_bytes": "likely"}
    assert "structured+static_int8" not in enough
    more = by_method(subject(targets={"size_bytes": 1_000_000}))
    assert outlook(more["static_int8"]) == {"size_bytes": "unlikely"}
    (prune, _) = more["structured+static_int8"].specs
    assert prune.model_dump(exclude_unset=True)["targets"] == {"size_bytes": 3_225_806}


def test_int8_is_a_share_of_the_dense_file_where_a_sparse_one_is_smaller() -> None:
    asked = subject(targets={"size_bytes": 1_000_000}, size_bytes=1_200_000, dense_bytes=5_660_000)
    assert standings(asked)[0].now == 1_200_000
    # 0.25 of 5.66 MB are 1.4 MB, more than the sparse file has.
    assert outlook(by_method(asked)["static_int8"]) == {"size_bytes": "unlikely"}


def test_a_cut_is_strong_by_the_file_that_has_its_zeros() -> None:
    # 500 kB are a half of the file without zeros, and under a tenth of the other.
    asked = subject(targets={"size_bytes": 500_000}, size_bytes=1_000_000, dense_bytes=5_660_000)
    assert "structured+distill+static_int8" in by_method(asked)
    dense = subject(targets={"size_bytes": 500_000}, size_bytes=1_000_000, dense_bytes=1_000_000)
    assert "structured+distill+static_int8" not in by_method(dense)


def test_the_processor_decides_what_int8_is_said_to_gain() -> None:
    for hardware, known in ((WITH_VNNI, True), (WITHOUT_VNNI, False)):
        one = by_method(subject(targets={"min_speedup": 2}, can=workers(hardware)))["static_int8"]
        assert (one.expected.speedup is not None) == known
        # Another network on another day proves nothing here.
        assert outlook(one) == {"min_speedup": "open" if known else "unknown"}
        (device,) = (item for item in one.evidence if item.kind == "device")
        assert device.ref == hardware.device_name
        assert ("avx512_vnni" in device.text) == known
    on_gpu = by_method(subject(targets={"min_speedup": 2}, can=workers(GPU)))
    assert any("GPUs" in caveat for caveat in on_gpu["static_int8"].caveats)
    (prune,) = on_gpu["structured"].specs
    assert prune.model_dump(exclude_unset=True)["method"] == {"name": "structured", "round_to": 8}


@pytest.mark.parametrize(
    ("architecture", "first", "never"),
    [
        ("cifar_resnet20", "static_int8", "dynamic_int8"),
        ("timm/vit_base_patch16_224", "dynamic_int8", None),
        ("mlp", "dynamic_int8", None),
        ("operator/secret", "static_int8", "dynamic_int8"),
    ],
)
def test_the_layers_decide_the_method_of_int8(
    architecture: str, first: str, never: str | None
) -> None:
    methods = [one.method for one in recommendations_for(subject(architecture))]
    assert next(name for name in methods if name.endswith("_int8")) == first
    assert never not in methods


def test_students_are_of_the_family_and_small_enough() -> None:
    found = by_method(subject("cifar_resnet56", parameters=853_018, macs=125_485_696))
    assert "distill:cifar_resnet20" in found  # of what the workers have, the next smaller one
    expected = found["distill:cifar_resnet20"].expected
    assert expected.macs_ratio is not None
    assert expected.macs_ratio.low == pytest.approx(125_485_696 / 40_551_040)
    assert expected.accuracy_change_points is None
    assert expected.speedup is None
    # 148,330 of 1,412,682 parameters are more than a twelfth, 102,154 are less.
    small = by_method(subject(targets={"parameters": 1 / 12}))
    assert [name for name in small if name.startswith("distill:")] == [
        name for name in small if "cnn_simple" in name
    ]
    assert outlook(small["distill:cnn_simple"]) == {"parameters": "likely"}


def test_a_graph_gets_what_is_possible_for_graphs() -> None:
    foreign = subject(None, form="graph", targets={"size_bytes": 1_800_000}, macs=None)
    kinds = {spec.kind for one in recommendations_for(foreign) for spec in one.specs}
    assert kinds == {"quantize", "distill"}
    (distill,) = by_method(foreign)["distill:cifar_resnet20"].specs
    assert "preset" not in distill.model_dump(exclude_unset=True)  # a graph shows no features
    ours = subject("cnn_teacher", form="graph", is_quantized=True)
    methods = {one.method for one in recommendations_for(ours)}
    assert methods == {"distill:cnn_student", "distill:cnn_simple", "measure"}
    (measure,) = by_method(ours)["measure"].specs
    assert measure.model_dump(exclude_unset=True)["runtimes"] == ("onnxruntime",)


def test_a_latency_that_nobody_measured_is_said_to_be_so() -> None:
    (unknown,) = standings(subject(targets={"latency_ms": 2}))
    assert (unknown.state, unknown.now) == ("not_measured", None)
    elsewhere = timing("onnxruntime", 1.5, device="Another CPU")
    (unknown,) = standings(subject(targets={"latency_ms": 2}, timings=(elsewhere,)))
    assert unknown.state == "not_measured"
    asked = subject(
        targets={"latency_ms": 2}, timings=(timing("eager", 4.0), timing("onnxruntime", 1.5))
    )
    (known,) = standings(asked)
    assert (known.state, known.now) == ("kept", 1.5)
    best = recommendations_for(asked)[0]
    assert (best.method, outlook(best)) == ("serve:onnxruntime", {"latency_ms": "shown"})
    assert best.evidence[0].kind == "job"


def test_another_runtime_that_was_slower_is_not_recommended() -> None:
    asked = subject(
        targets={"latency_ms": 0.5}, timings=(timing("eager", 1.0), timing("onnxruntime", 5.0))
    )
    assert not any(one.method.startswith("serve:") for one in recommendations_for(asked))


def test_a_precision_that_no_export_keeps_is_not_served() -> None:
    halved = (timing("eager", 3.0), timing("openvino", 1.0, precision="bf16"))
    asked = subject(targets={"latency_ms": 2}, timings=halved)
    assert not any(one.method.startswith("serve:") for one in recommendations_for(asked))


def test_a_latency_is_kept_where_every_timed_device_keeps_it() -> None:
    timed = (timing("eager", 0.5, device=GPU.device_name), timing("eager", 4.0))
    both = workers(WITH_VNNI, GPU)
    (standing,) = standings(subject(targets={"latency_ms": 2}, timings=timed, can=both))
    assert (standing.state, standing.now) == ("open", 4.0)
    assert "the slowest of 2 devices" in standing.text
    (standing,) = standings(subject(targets={"latency_ms": 5}, timings=timed, can=both))
    assert (standing.state, standing.now) == ("kept", 4.0)
    on_gpu = workers(GPU)
    (standing,) = standings(subject(targets={"latency_ms": 2}, timings=timed, can=on_gpu))
    assert (standing.state, standing.now) == ("kept", 0.5)


def test_int8_is_forecast_from_float32_on_a_processor() -> None:
    timed = (
        timing("onnxruntime", 0.2, device=GPU.device_name),
        timing("onnxruntime", 3.0, precision="bf16"),
        timing("onnxruntime", 11.0),
    )
    asked = subject(targets={"latency_ms": 0.1}, timings=timed, can=workers(WITH_VNNI, GPU))
    (latency,) = by_method(asked)["static_int8"].targets
    assert latency.text.startswith("4.40 ms to 5.00 ms")  # 11 ÷ 2.5 and ÷ 2.2


def test_zeros_are_offered_where_only_bytes_count() -> None:
    assert "unstructured" in by_method(subject(targets={"size_bytes": 400_000}))
    others: list[dict[str, float] | None] = [
        {"size_bytes": 400_000, "min_speedup": 2},
        {"macs": 0.5},
        None,
    ]
    for targets in others:
        assert "unstructured" not in by_method(subject(targets=targets))


@pytest.mark.parametrize(
    ("targets", "pointer"),
    [
        ({"size_bytes": 9}, "#/targets/size_bytes"),
        ({"parameters": 1e-6}, "#/targets/parameters"),
        ({"macs": 1e-8, "min_speedup": 2}, "#/targets/macs"),
    ],
)
def test_targets_that_no_network_of_ten_classes_keeps_are_refused(
    targets: dict[str, float], pointer: str
) -> None:
    with pytest.raises(Invalid) as caught:
        check_together(subject(targets=targets))
    assert caught.value.code == "conflicting_targets"
    assert [item.pointer for item in caught.value.errors] == [pointer]


def test_fewer_macs_of_a_graph_that_can_teach_nobody_are_refused() -> None:
    large = subject(None, form="graph", targets={"macs": 0.5}, input_size=(3, 224, 224))
    with pytest.raises(Invalid, match="cannot be cut"):
        check_together(large)
    check_together(subject(None, form="graph", targets={"macs": 0.5}))


def test_what_no_worker_does_is_not_recommended() -> None:
    can = workers(WITH_VNNI, kinds=tuple(kind for kind in KINDS if kind != "quantize"))
    kinds = {spec.kind for one in recommendations_for(subject(can=can)) for spec in one.specs}
    assert "quantize" not in kinds
    assert kinds == {"prune", "distill", "benchmark"}


@pytest.mark.parametrize(("lost", "is_offered"), [(0.2, False), (0.8, True)])
def test_training_with_the_rounding_is_offered_where_int8_lost_too_much(
    lost: float, is_offered: bool
) -> None:
    spec, result = quantize()
    assert isinstance(result, QuantizeResult)
    result = result.model_copy(update={"accuracy_change_points": -lost})
    ours = subject(
        targets={"max_accuracy_drop_points": 0.5}, pasts=(past((spec, result), "quantize"),)
    )
    found = by_method(ours).get("aware_int8")
    assert (found is not None) == is_offered
    if found is not None:
        (offered,) = found.specs
        assert offered.model_dump()["method"]["tool"] == "torchao"
        assert offered.model_dump()["finetune"]["teacher"] == "original"
