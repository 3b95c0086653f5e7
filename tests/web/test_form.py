"""The form of a new job, as a tree of fields."""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

import pytest

from service.contract.specs import SPECS, JobKind
from service.web.form import Tree, form
from service.web.presets import KEPT, PRESETS

KINDS: tuple[JobKind, ...] = get_args(JobKind)
MODEL, DATA = "mdl_" + "0" * 26, "digits"
LEAST: Mapping[JobKind, Mapping[str, Any]] = {
    "train": {"model": {"architecture": "cnn_student"}, "dataset": DATA},
    "distill": {"teacher": MODEL, "student": {"architecture": "cnn_student"}, "dataset": DATA},
    "prune": {"model": MODEL, "dataset": DATA},
    "quantize": {"model": MODEL, "dataset": DATA},
    "benchmark": {"models": [MODEL], "dataset": DATA},
    "export": {"model": MODEL},
}


def _under(tree: Tree, *keys: str) -> Tree:
    for key in keys:
        tree = next(one for one in tree["fields"] if one["key"] == key)
    return tree


def _all(tree: Tree) -> Iterator[Tree]:
    yield tree
    inner = [*tree.get("fields", ()), *(one["field"] for one in tree.get("variants", ()))]
    for one in [*inner, *([tree["item"]] if "item" in tree else [])]:
        yield from _all(one)


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_a_kind_is_in_its_form(kind: JobKind) -> None:
    spec = SPECS.validate_python({"kind": kind, **LEAST[kind]})
    assert {one["key"] for one in form(kind)["fields"]} == set(type(spec).model_fields) - {"kind"}


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_form_calls_default_is_what_the_service_takes(kind: JobKind) -> None:
    spec = SPECS.validate_python({"kind": kind, **LEAST[kind]}).model_dump(mode="json")
    defaults = {one["key"]: one["default"] for one in form(kind)["fields"] if "default" in one}
    assert defaults == {key: spec[key] for key in defaults if key not in LEAST[kind]} | {
        key: None for key in defaults if key in LEAST[kind]
    }


@pytest.mark.parametrize("kind", KINDS)
def test_no_field_is_left_to_be_typed_as_json(kind: JobKind) -> None:
    assert [one["key"] for one in _all(form(kind)) if one["type"] == "json"] == []


def test_ranges_choices_and_pickers_come_from_the_contract() -> None:
    epochs = _under(form("train"), "training", "epochs")
    assert (epochs["default"], epochs["min"], epochs["max"], epochs["whole"]) == (
        30,
        1,
        10_000,
        True,
    )
    assert epochs["hint"] == "Passes over the training split."
    assert _under(form("prune"), "allocation")["options"] == ["uniform", "global", "adaptive"]
    assert _under(form("prune"), "schedule", "name")["label"] == "Which"
    assert _under(form("prune"), "model")["picks"] == "models"
    assert _under(form("train"), "dataset")["picks"] == "datasets"
    seed = _under(form("train"), "seed")
    assert (seed["min"], seed["below"]) == (0, 2**31)


def test_methods_and_losses_are_told_apart_by_their_names() -> None:
    methods = _under(form("prune"), "method")
    assert [one["value"] for one in methods["variants"]] == [
        "structured",
        "unstructured",
        "n_m",
        "structured_mask",
    ]
    ratio = _under(methods["variants"][0]["field"], "pruning_ratio")
    assert (ratio["type"], ratio["of"], ratio["single"]) == ("list", "number", True)
    one, several = _under(form("distill"), "loss")["variants"]
    assert (one["field"]["type"], several["field"]["type"]) == ("union", "items")


def test_what_most_people_want_comes_first() -> None:
    assert [one["key"] for one in form("prune")["fields"] if one["first"]] == [
        "name",
        "model",
        "dataset",
        "method",
        "allocation",
        "targets",
        "finetune",
    ]


@pytest.mark.parametrize(
    ("kind", "preset"),
    [(kind, preset) for kind, presets in PRESETS.items() for preset in presets],
    ids=lambda one: one if isinstance(one, str) else one.id,
)
def test_presets_are_specs_that_the_service_takes(kind: JobKind, preset: Any) -> None:
    spec = SPECS.validate_python({"kind": kind, **LEAST[kind], **preset.fields})
    assert spec.kind == kind
    assert not set(preset.fields) & set(KEPT)


def test_every_kind_has_presets() -> None:
    assert set(PRESETS) == set(KINDS)
