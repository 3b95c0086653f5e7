"""How many classifiers of timm and torchvision register, reload bit-equal and train one step.

A fixed list of 60 that spans families, each small of its kind. The library itself builds a model
with random weights and writes its state dict; the worker's check of uploads reads that file and
makes a model folder; the folder is loaded and must answer as the library's model does, bit for
bit, and take one optimizer step in which every loss is finite.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import timm
import torch
import torchvision.models
from safetensors.torch import save_file
from torch import nn

from benchmarks.figures import Options, Report
from service.contract.models import SourceFormat
from worker.engine.data.split import Data, Split
from worker.engine.models.folder import load_folder
from worker.engine.seeds import generator
from worker.engine.train.loop import fit
from worker.handlers.intake_model import check_model
from worker.order import ModelCheckOrder

_CLASSES: Final = 5
_STEP: Final = 4  # examples


@dataclass(frozen=True)
class Candidate:
    """A model of a library for square images of `side` pixels."""

    name: str
    side: int

    def build(self) -> nn.Module:
        """As its library does, in evaluation mode."""
        family, _, name = self.name.partition("/")
        arguments: dict[str, Any] = {"num_classes": _CLASSES}
        if family == "timm":
            published = timm.models.get_pretrained_cfg(name)
            if published is not None and published.fixed_input_size:
                arguments["img_size"] = self.side
            module: nn.Module = timm.create_model(name, **arguments)
        else:
            if name.startswith("vit_"):
                arguments["image_size"] = self.side
            elif name.startswith("maxvit"):
                arguments["input_size"] = (self.side, self.side)
            module = torchvision.models.get_model(name, **arguments)
        return module.eval()


def _of(family: str, names: str) -> tuple[Candidate, ...]:
    """`name:side`, 64 pixels where no side is said."""
    split = (entry.partition(":") for entry in names.split())
    return tuple(Candidate(f"{family}/{name}", int(side or 64)) for name, _, side in split)


CANDIDATES: Final = (
    *_of(
        "timm",
        "resnet18 resnet26d seresnet18 resnetv2_18 resnext50_32x4d res2net50_14w_8s "
        "efficientnet_b0 tf_efficientnetv2_b0 mobilenetv2_035 mobilenetv3_small_050 "
        "mobilenetv4_conv_small mnasnet_small lcnet_035 ghostnet_050 rexnetr_100 "
        "regnetx_002 regnety_002 regnetz_005 convnext_atto convnextv2_atto "
        "densenet121 dla46_c repghostnet_050 repvgg_a0 hgnetv2_b0 cs3darknet_s starnet_s1 "
        "vit_tiny_patch16_224 deit_tiny_distilled_patch16_224 eva02_tiny_patch14_224:56 "
        "swin_tiny_patch4_window7_224:224 maxvit_rmlp_pico_rw_256:256 "
        "mixer_s32_224 gmlp_ti16_224 poolformer_s12 mobilevit_xxs edgenext_xx_small "
        "xcit_nano_12_p16_224 levit_128s:224 fastvit_t8 tiny_vit_5m_224:224",
    ),
    *_of(
        "torchvision",
        "alexnet vgg11 resnet18 resnet34 squeezenet1_1 densenet121 googlenet "
        "inception_v3:96 mobilenet_v2 mobilenet_v3_small shufflenet_v2_x0_5 mnasnet0_5 "
        "efficientnet_b0 regnet_y_400mf regnet_x_400mf convnext_tiny vit_b_32 swin_t "
        "swin_v2_t",
    ),
)


def run(options: Options) -> Report:
    """The same 60 on either budget; prints a line for each."""
    report = Report()
    failures = try_all(CANDIDATES)
    good = len(CANDIDATES) - len(failures)
    share, target = good / len(CANDIDATES), f"at least 95 % of {len(CANDIDATES)}"
    report.at_least("classifiers that work", share, "share", 0.95, target)
    for name, reason in failures.items():
        report.told(f"failed: {name}", reason, "")
    return report


def try_all(candidates: Sequence[Candidate]) -> dict[str, str]:
    """Why each of those that failed did."""
    torch.set_num_threads(1)  # for models this small, threads mostly wait for one another
    failures: dict[str, str] = {}
    for candidate in candidates:
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            try:
                _try(candidate, Path(folder))
            except Exception as error:
                failures[candidate.name] = f"{type(error).__name__}: {error}"[:300]
        outcome = failures.get(candidate.name, "ok")
        sys.stdout.write(f"{candidate.name:44} {time.perf_counter() - start:5.1f} s  {outcome}\n")
        sys.stdout.flush()
    return failures


def _try(candidate: Candidate, folder: Path) -> None:
    torch.manual_seed(0)
    module = candidate.build()
    source = _save(module, candidate, folder)
    size = (3, candidate.side, candidate.side)
    order = ModelCheckOrder(
        source=source.name,
        format=_FORMATS[source.suffix],
        name=candidate.name,
        architecture=candidate.name,
        options={},
        classes=None,
        input_size=size,
        normalisation=None,
        labels=None,
    )
    checked = check_model(order, folder)
    assert checked.classes == _CLASSES, f"{checked.classes} classes were counted"
    assert checked.macs, "no multiply–accumulates were counted"
    loaded = load_folder(folder / checked.folder)
    draw = generator(0, "inputs")
    inputs = torch.randn(2, *size, generator=draw)
    with torch.inference_mode():
        assert torch.equal(module(inputs), loaded.module(inputs)), "it answers differently"
    before = [parameter.clone() for parameter in loaded.module.parameters()]
    config = loaded.config
    fit(
        loaded.module,
        _data(size),
        mean=config.mean,
        std=config.std,
        epochs=1,
        batch_size=_STEP,
        device="cpu",
    )
    after = loaded.module.parameters()
    assert not all(map(torch.equal, before, after)), "the step changed nothing"


_FORMATS: Final[dict[str, SourceFormat]] = {".safetensors": "safetensors", ".pt": "torch"}


def _save(module: nn.Module, candidate: Candidate, folder: Path) -> Path:
    """The way its library's users do."""
    if candidate.name.startswith("timm/"):
        path = folder / "w.safetensors"
        save_file(module.state_dict(), path)
    else:
        path = folder / "w.pt"
        torch.save(module.state_dict(), path)
    return path


def _data(size: tuple[int, ...]) -> Data:
    draw = generator(0, "images")

    def split(count: int) -> Split:
        x = torch.randint(0, 256, (count, *size), generator=draw, dtype=torch.uint8)
        return Split(x, torch.arange(count) % _CLASSES)

    return Data.of(split(_STEP), split(2), split(2))
