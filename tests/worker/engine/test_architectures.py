"""Architectures of libraries and of operators' packages."""

import importlib
import importlib.metadata
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
import torchvision.models

import modelpress
from worker.engine.errors import InvalidModel
from worker.engine.measure.macs import macs
from worker.engine.models import plugins, registry
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import build, load_folder, save_folder

EXAMPLE = Path(__file__).parents[3] / "docs/examples/tinyformer"
HALF = (0.5, 0.5, 0.5)


def images(architecture: str, side: int = 64, **options: object) -> ModelConfig:
    return ModelConfig(architecture, 10, (3, side, side), HALF, HALF, options=options)


SMALL_VIT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "patch_size": 16,
}
CONFIGS = [
    images("timm/resnet18", drop_rate=0.1, drop_path_rate=0.1),
    images("timm/vit_tiny_patch16_224", attn_drop_rate=0.1, class_token=True),
    images("torchvision/regnet_y_400mf"),
    images("torchvision/googlenet", dropout=0.3),
    images("transformers/vit", **SMALL_VIT),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.architecture)
def test_it_reloads_bit_for_bit_from_a_folder(config: ModelConfig, tmp_path: Path) -> None:
    torch.manual_seed(3)
    model = build(config)
    save_folder(model, config, tmp_path / "m", "# A card\n")
    loaded = load_folder(tmp_path / "m")
    assert loaded.config == config
    x = torch.randn(2, *config.input_size)
    with torch.no_grad():
        assert torch.equal(model.eval()(x), loaded.module(x))
        assert loaded.module(x).shape == (2, 10)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.architecture)
def test_weights_come_from_the_seed_and_logits_have_one_shape_in_training_too(
    config: ModelConfig,
) -> None:
    models = []
    for _ in range(2):
        torch.manual_seed(7)
        models.append(build(config))
    first, second = (model.state_dict() for model in models)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert models[0].training
    assert models[0](torch.randn(2, *config.input_size)).shape == (2, 10)


def test_timm_s_own_model_has_the_same_names_and_answers_the_same(tmp_path: Path) -> None:
    theirs = timm.create_model("mobilenetv3_small_050", num_classes=10, in_chans=1)
    config = ModelConfig("timm/mobilenetv3_small_050", 10, (1, 32, 32), (0.5,), (0.5,))
    ours = build(config)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        assert torch.equal(ours.eval()(x), theirs.eval()(x))


def test_macs_are_those_that_torchvision_publishes() -> None:
    config = ModelConfig("torchvision/resnet18", 1000, (3, 224, 224), HALF, HALF)
    published = torchvision.models.ResNet18_Weights.DEFAULT.meta["_ops"] * 1e9
    assert macs(build(config), config.input_size) == pytest.approx(published, rel=1e-3)


def test_defaults_are_those_of_the_published_weights() -> None:
    timm_s = registry.find("timm/vit_tiny_patch16_224").defaults()
    assert (timm_s.input_size, timm_s.normalisation) == ((3, 224, 224), (HALF, HALF))
    torchvision_s = registry.find("torchvision/inception_v3").defaults()
    assert torchvision_s.input_size == (3, 299, 299)
    assert torchvision_s.normalisation == (HALF, HALF)  # as its weights see ImageNet's
    for defaults in (timm_s, torchvision_s):
        assert defaults.labels is not None
        assert len(defaults.labels) == 1000
        assert defaults.labels[1].startswith("goldfish")


WRONG = {
    "a misspelt name": (images("timm/resnet81"), "resnet18"),
    "a family that is not there": (images("tinyformer/nano"), "nothing here brings"),
    "a place to load from": (images("timm/hf-hub:timm/resnet18"), "unknown architecture"),
    "a foreign option": (images("timm/resnet18", pretrained=True), "takes no option pretrained"),
    "a rate above one": (images("timm/resnet18", drop_rate=1.5), "must be in \\[0, 1\\)"),
    "too small an input": (images("timm/vgg11", side=8), "cannot take inputs of"),
    "no image": (replace(images("timm/resnet18"), input_size=(3, 8)), "takes images"),
    "grey where colours are wired in": (
        ModelConfig("torchvision/resnet18", 10, (1, 64, 64), (0.5,), (0.5,)),
        "3 channels",
    ),
    "two billion parameters": (
        images("transformers/vit", hidden_size=32768, num_attention_heads=8),
        "at most 2,000,000,000",
    ),
    "a list without end": (images("transformers/resnet", depths=[1] * 17), "at most 16"),
    "layers without end": (images("transformers/vit", num_hidden_layers=10**6), "512"),
    "an activation from elsewhere": (
        images("transformers/vit", hidden_act="os.system"),
        "must be one of gelu",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_built_is_an_invalid_model_that_says_why(case: str) -> None:
    config, message = WRONG[case]
    with pytest.raises(InvalidModel, match=message):
        build(config)


def test_nothing_of_a_library_is_imported_until_one_of_its_models_is_asked_for() -> None:
    program = (
        "import sys; from worker.engine.models.folder import build, ModelConfig\n"
        "build(ModelConfig('mlp', 3, (4,), (0.0,) * 4, (1.0,) * 4))\n"
        "print([name for name in ('timm', 'torchvision', 'transformers') if name in sys.modules])"
    )
    command = [sys.executable, "-c", program]
    ran = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=EXAMPLE.parents[2]
    )
    assert ran.stdout.strip() == "[]"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path, as packages are installed into; forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    plugins.packages.cache_clear()
    yield tmp_path
    plugins.packages.cache_clear()
    sys.modules.pop("tinyformer", None)


def test_the_example_package_brings_its_architectures(installed: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"  # building leaves files beside the sources
    source.mkdir()
    for name in ("pyproject.toml", "tinyformer.py"):
        (source / name).write_bytes((EXAMPLE / name).read_bytes())
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    pip = [sys.executable, "-m", "pip", "install", *offline, "--target", str(installed)]
    subprocess.run([*pip, str(source)], check=True, capture_output=True)
    importlib.invalidate_caches()
    assert registry.options_by_name()["tinyformer/nano"] == {"patch", "dropout"}
    assert registry.find("tinyformer/small").defaults().normalisation == (HALF, HALF)
    config = images("tinyformer/nano", side=16, patch=8)
    model = build(config)
    save_folder(model, config, tmp_path / "m", "# A card\n")
    x = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(modelpress.load(tmp_path / "m")(x), model.eval()(x))
    with pytest.raises(InvalidModel, match="patches of 7 do not cover"):
        build(images("tinyformer/nano", side=16, patch=7))


def test_a_broken_package_is_left_out_and_named(installed: Path) -> None:
    for name, target in (("broken", "no_such_module:ALL"), ("typed", "math:pi")):
        folder = installed / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[{plugins.GROUP}]\nall = {target}\n")
    assert set(registry.left_out()) == {"broken", "typed"}
    assert "no_such_module" in registry.left_out()["broken"]
    assert "mlp" in registry.options_by_name()
    with pytest.raises(InvalidModel, match="unknown architecture 'broken/all'"):
        registry.find("broken/all")
