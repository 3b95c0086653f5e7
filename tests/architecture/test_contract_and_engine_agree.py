"""The torch-free tables of the contract against the engine's registries, which are the truth."""

import dataclasses
from typing import get_args

import torch

from service.contract import catalog, job_errors
from service.contract.benchmark import LatencyResult, Runtime
from service.contract.datasets import DatasetFormat
from service.contract.export import ExportFormat
from service.contract.layers import LAYERS_OF
from service.contract.losses import AnyLoss, FeatureLossBase, LossBase
from service.contract.models import EXPORT_SUFFIXES, SPARSE_FILE
from service.contract.specs import JobKind
from service.contract.training import Environment, TrainingSpec
from worker.engine import errors
from worker.engine.data import intake
from worker.engine.data.builtin import BUILTIN
from worker.engine.device import Environment as EngineEnvironment
from worker.engine.distill.losses import LOSSES, FeatureLoss, default_options
from worker.engine.export.formats import EXPORTERS
from worker.engine.measure.macs import macs
from worker.engine.measure.runtimes import RUNTIMES
from worker.engine.models.features import layer_candidates
from worker.engine.models.registry import ARCHITECTURES
from worker.engine.prune.sparse_file import SPARSE_WEIGHTS
from worker.engine.train.settings import FitOptions, Settings


def test_architectures_and_their_options_agree() -> None:
    assert {n: a.options for n, a in ARCHITECTURES.items()} == catalog.OPTIONS_OF


def test_sizes_of_architectures_are_those_that_are_built() -> None:
    assert set(catalog.SIZES_OF) == set(catalog.ARCHITECTURES)
    for name in catalog.SIZES_OF:
        for classes in (10, 100):
            size = catalog.SIZES_OF[name].of_classes(classes)
            model = ARCHITECTURES[name].build(classes, (3, 32, 32))
            counted = sum(tensor.numel() for tensor in model.parameters())
            assert (size.parameters, size.macs) == (counted, macs(model, (3, 32, 32))), name


def test_runtimes_agree() -> None:
    assert set(get_args(Runtime)) == set(RUNTIMES)
    assert get_args(LatencyResult.model_fields["runtime"].annotation) == get_args(Runtime)


def test_export_formats_agree() -> None:
    assert get_args(ExportFormat) == tuple(EXPORTERS)
    assert set(EXPORT_SUFFIXES) == set(EXPORTERS)


def test_the_file_without_zeros_has_one_name() -> None:
    assert SPARSE_FILE == SPARSE_WEIGHTS


def test_losses_agree() -> None:
    made_by_default: list[AnyLoss] = [spec() for spec in get_args(AnyLoss)]
    assert [made.name for made in made_by_default] == list(LOSSES)
    for made in made_by_default:
        shared = FeatureLossBase if isinstance(made, FeatureLossBase) else LossBase
        assert (shared is FeatureLossBase) == isinstance(LOSSES[made.name], FeatureLoss)
        own = made.model_dump(exclude={"name", *shared.model_fields})
        assert own == default_options(made.name), made.name


def test_layers_are_those_that_the_engine_finds() -> None:
    assert set(catalog.ARCHITECTURES) == set(LAYERS_OF)
    for name, layers in LAYERS_OF.items():
        model = ARCHITECTURES[name].build(10, (3, 32, 32))
        found = layer_candidates(model, torch.zeros(1, 3, 32, 32))
        assert tuple(layer.name for layer in found if layer.is_stage) == layers.stages
        assert set(layers.blocks) <= {layer.name for layer in found}


def test_formats_of_data_agree() -> None:
    assert get_args(intake.Format) == get_args(DatasetFormat) == ("npz", *intake.LISTERS)


def test_builtin_datasets_are_what_the_contract_says_of_them() -> None:
    assert set(BUILTIN) == set(catalog.BUILTIN_DATASETS)
    for name, load in BUILTIN.items():
        data, facts = load(), catalog.BUILTIN_DATASETS[name]
        assert (data.classes, data.input_size) == (facts.classes, tuple(facts.input_size))


def test_a_training_spec_is_the_keyword_arguments_of_fit() -> None:
    spec, options = TrainingSpec(), FitOptions.__annotations__
    assert set(TrainingSpec.model_fields) <= set(options)
    defaults = {field.name: field.default for field in dataclasses.fields(Settings)}
    assert {name: defaults[name] for name in TrainingSpec.model_fields} == spec.model_dump()


def test_the_environment_has_the_same_fields() -> None:
    assert {field.name for field in dataclasses.fields(EngineEnvironment)} == set(
        Environment.model_fields
    )


def test_every_engine_error_has_a_documented_code() -> None:
    codes = {kind.code for kind in errors.EngineError.__subclasses__()}
    assert codes <= set(get_args(job_errors.JobErrorCode))
    assert set(job_errors.HINTS) == set(get_args(job_errors.JobErrorCode))


def test_every_kind_has_a_handler() -> None:
    from worker import handlers

    assert all(hasattr(handlers, kind) for kind in get_args(JobKind))
