"""The part of a report that says how to get the same again."""

from service.contract.distill import DistillSpec
from service.contract.quantize import QuantizeSpec
from service.reports.html import to_html
from service.reports.markdown import to_markdown
from service.reports.reproduce import reproduce_tables, settings
from tests.reports import samples
from tests.reports.pages import Page


def test_only_what_differs_from_the_defaults_was_asked_for() -> None:
    spec = DistillSpec.model_validate(
        {
            "kind": "distill", "name": "a name", "teacher": samples.TEACHER, "dataset": "digits",
            "student": {"architecture": "mlp", "options": {"hidden": [8, 4]}},
            "loss": [{"name": "dkd", "weight": 2}, {"name": "at"}, {"name": "js", "alpha": 0.5}],
            "training": {"epochs": 7}, "seeds": [3, 1],
        }
    )  # fmt: skip
    asked = dict(settings(spec))
    assert asked["kind"] == "distill"
    assert asked["student.options.hidden"] == "8, 4"
    assert (asked["loss[0].weight"], asked["training.epochs"]) == ("2.0", "7")
    assert (asked["loss[0].name"], asked["loss[1].name"]) == ("dkd", "at")
    assert (asked["loss[2].alpha"], asked["loss[2].alpha_end"]) == ("0.5", "None")
    assert "loss[1].alpha_end" not in asked
    assert not {"name", "training.learning_rate", "latency_batch_sizes"} & set(asked)


def test_what_was_done_is_named_also_where_it_is_the_default() -> None:
    spec = QuantizeSpec.model_validate({"model": samples.TEACHER, "dataset": "digits"})
    assert settings(spec) == [
        ("kind", "quantize"),
        ("model", samples.TEACHER),
        ("dataset", "digits"),
        ("method.name", "static_int8"),
    ]


def test_the_conditions_name_data_device_threads_and_versions() -> None:
    asked, conditions = reproduce_tables(samples.report(samples.distill()).provenance)
    found = {row["name"]: row["value"] for row in conditions.rows}
    assert found["Seed"] == "0"
    assert found["Digest of the data"] == "sha256:" + "d" * 64
    assert found["Examples"] == "1,294 training, 143 validation, 360 test"
    assert found["Threads"] == "2 of 2 processors"
    assert found["Versions"] == "torch 2.14.1, onnxruntime 1.32.0"
    assert {"name": "teacher", "value": samples.TEACHER} in asked.rows


def test_of_several_seeds_the_kept_one_is_named() -> None:
    spec, result = samples.train()
    repeated = spec.model_copy(update={"seeds": (4, 5)})
    report = samples.report((repeated, result.model_copy(update={"seed": 5})))
    _, conditions = reproduce_tables(report.provenance)
    assert conditions.rows[0] == {"name": "Seeds", "value": "4, 5; 5 was kept"}


def test_page_and_markdown_hold_the_spec_to_post_and_the_ids_of_the_parents() -> None:
    report = samples.report(samples.distill())
    for text in (Page(to_html(report)).text, to_markdown(report)):
        assert "Reproduce" in text
        assert report.provenance.spec.model_dump_json(indent=2) in text
        assert samples.TEACHER in text
