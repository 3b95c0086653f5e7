"""Distillation losses, and how several are mixed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Len
from pydantic import AfterValidator, Discriminator, Field, StringConstraints, Tag, model_validator
from pydantic_core import PydanticCustomError

from service.contract.base import Contract

LayerName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.\-]{1,128}$")]
Temperature = Annotated[
    float,
    Field(gt=0, le=100, description="T: softens distributions; 1 leaves them as they are."),
]


class LossBase(Contract):
    """What every loss takes. Its objective is alpha · CE(student, labels) + (1 − alpha) · loss;
    a list is the mean of the objectives of its losses by their weights."""

    alpha: float = Field(
        0.7,
        ge=0,
        le=1,
        description="Weight of the hard-label loss; 1 − alpha weighs the soft one. "
        "(Some papers use the letter the other way round.)",
    )
    alpha_end: float | None = Field(
        0.3,
        ge=0,
        le=1,
        description="Where alpha ends: it moves there evenly, epoch by epoch. None, and the "
        "default where alpha is given: it stays.",
    )
    warmup_epochs: int = Field(
        0, ge=0, le=10_000, description="Epochs over which the soft loss grows to its full weight."
    )
    weight: float = Field(1.0, gt=0, le=1e6, description="Weight within a list of losses.")

    @model_validator(mode="before")
    @classmethod
    def _leaves_a_given_alpha_where_it_is(cls, given: Any) -> Any:
        if isinstance(given, dict) and "alpha" in given and "alpha_end" not in given:
            return {**given, "alpha_end": None}
        return given


class KdLoss(LossBase):
    """Knowledge distillation (Hinton, Vinyals, Dean 2015, arXiv:1503.02531).

    T² · KL(softmax(teacher/T) ‖ softmax(student/T))
    """

    name: Literal["kd"] = Field("kd", description="The loss.")
    temperature: Temperature = 2.0
    standardise: bool = Field(
        False,
        description="Bring each example's logits to mean 0 and deviation 1 first (Sun et al. "
        "2024, arXiv:2403.01681).",
    )


class DkdLoss(LossBase):
    """Decoupled distillation (Zhao et al. 2022, arXiv:2203.08679)."""

    name: Literal["dkd"] = Field("dkd", description="The loss.")
    temperature: Temperature = 2.0
    target_weight: float = Field(
        1.0, ge=0, le=1000, description="The paper's α: of the true class against the rest."
    )
    nontarget_weight: float = Field(
        2.0, ge=0, le=1000, description="The paper's β: among the other classes."
    )


class DistLoss(LossBase):
    """Relation matching (Huang et al. 2022, arXiv:2205.10536)."""

    name: Literal["dist"] = Field("dist", description="The loss.")
    temperature: Temperature = 2.0
    inter_weight: float = Field(
        1.0, ge=0, le=1000, description="The paper's β: between the classes of an example."
    )
    intra_weight: float = Field(
        1.0, ge=0, le=1000, description="The paper's γ: between the examples of a batch."
    )


class JsLoss(LossBase):
    """The Jensen–Shannon divergence of the softened distributions, times T²."""

    name: Literal["js"] = Field("js", description="The loss.")
    temperature: Temperature = 2.0


class ReverseKlLoss(LossBase):
    """T² · KL(softmax(student/T) ‖ softmax(teacher/T)) (Gu et al. 2024, arXiv:2306.08543)."""

    name: Literal["reverse_kl"] = Field("reverse_kl", description="The loss.")
    temperature: Temperature = 2.0


class MseLoss(LossBase):
    """Mean squared difference of the logits (Ba and Caruana 2014, arXiv:1312.6184)."""

    name: Literal["mse"] = Field("mse", description="The loss.")
    scale: float = Field(0.1, gt=0, le=1e6, description="Multiplies the loss.")


class LayerPair(Contract):
    """A layer of the student and the layer of the teacher that it learns from."""

    student: LayerName = Field(description="From `GET /v1/capabilities`.", examples=["layer3"])
    teacher: LayerName = Field(description="From `GET /v1/capabilities`.", examples=["layer3"])


class FeatureLossBase(LossBase):
    """A loss of features: the teacher answers beside the student, since maps are not kept."""

    alpha: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Weight of the hard-label loss; 1 − alpha weighs the soft one.",
    )
    alpha_end: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Where alpha ends: it moves there evenly, epoch by epoch. None: it stays.",
    )
    scale: float = Field(1.0, gt=0, le=1e6, description="The paper's β: multiplies the loss.")
    layers: Annotated[tuple[LayerPair, ...], Len(1, 16)] | None = Field(
        None,
        description="Layers to compare, from the first to the deepest. None: the last feature map "
        "of each stage.",
    )


class FitnetLoss(FeatureLossBase):
    """Feature maps through a learned 1×1 convolution (Romero et al. 2015, arXiv:1412.6550)."""

    name: Literal["fitnet"] = Field("fitnet", description="The loss.")


class AtLoss(FeatureLossBase):
    """Attention transfer (Zagoruyko and Komodakis 2017, arXiv:1612.03928)."""

    name: Literal["at"] = Field("at", description="The loss.")
    scale: float = Field(100.0, gt=0, le=1e6, description="The paper's β: multiplies the loss.")
    power: float = Field(2.0, ge=1, le=8, description="The paper's p: of the activations.")


class SpLoss(FeatureLossBase):
    """Similarity preservation (Tung and Mori 2019, arXiv:1907.09682)."""

    name: Literal["sp"] = Field("sp", description="The loss.")
    scale: float = Field(1000.0, gt=0, le=1e6, description="The paper's γ: multiplies the loss.")


class RkdLoss(FeatureLossBase):
    """Relations between the examples of a batch (Park et al. 2019, arXiv:1904.05068)."""

    name: Literal["rkd"] = Field("rkd", description="The loss.")
    scale: float = Field(25.0, gt=0, le=1e6, description="Multiplies the loss.")
    distance_weight: float = Field(1.0, ge=0, le=1000, description="Of distances between two.")
    angle_weight: float = Field(2.0, ge=0, le=1000, description="Of angles between three.")


class CrdLoss(FeatureLossBase):
    """Contrastive distillation within the batch (Tian et al. 2020, arXiv:1910.10699)."""

    name: Literal["crd"] = Field("crd", description="The loss.")
    contrast_temperature: float = Field(
        0.07, gt=0, le=10, description="The paper's τ: of the similarities."
    )


class ReviewkdLoss(FeatureLossBase):
    """Knowledge review (Chen et al. 2021, arXiv:2104.09044)."""

    name: Literal["reviewkd"] = Field("reviewkd", description="The loss.")


AnyLoss = (
    KdLoss
    | DkdLoss
    | DistLoss
    | JsLoss
    | ReverseKlLoss
    | MseLoss
    | FitnetLoss
    | AtLoss
    | SpLoss
    | RkdLoss
    | CrdLoss
    | ReviewkdLoss
)
LossSpec = Annotated[AnyLoss, Field(discriminator="name")]


def _differ(losses: tuple[AnyLoss, ...]) -> tuple[AnyLoss, ...]:
    if len({loss.name for loss in losses}) < len(losses):
        raise PydanticCustomError("impossible_combination", "each loss may come once")
    return losses


def _one_or_several(value: object) -> str:
    return "several" if isinstance(value, list | tuple) else "one"


LossOrMix = Annotated[
    Annotated[LossSpec, Tag("one")]
    | Annotated[tuple[LossSpec, ...], Len(1, 8), AfterValidator(_differ), Tag("several")],
    Discriminator(_one_or_several),
]
"""One loss, or a mix of different ones."""


@dataclass(frozen=True)
class MixWeights:
    """What the labels' loss and each soft loss count for, epoch by epoch."""

    hard: tuple[float, ...]
    soft: tuple[tuple[float, ...], ...]


def mix_weights(losses: Sequence[LossBase], epochs: int) -> MixWeights:
    """The weights in the total of the hard loss and of each loss by its place in `losses`.

    Over the losses i, with w their weights divided by the sum of all:
    Σ w_i · (alpha_i(epoch) · hard + (1 − alpha_i(epoch)) · warm-up_i(epoch) · loss_i).
    """
    whole = sum(loss.weight for loss in losses)
    shares = [loss.weight / whole for loss in losses]
    alphas = [_alphas(loss, epochs) for loss in losses]
    return MixWeights(
        hard=tuple(
            sum(share * alpha[epoch] for share, alpha in zip(shares, alphas, strict=True))
            for epoch in range(epochs)
        ),
        soft=tuple(
            tuple(
                share * (1 - alpha[epoch]) * min(1.0, (epoch + 1) / max(loss.warmup_epochs, 1))
                for epoch in range(epochs)
            )
            for loss, share, alpha in zip(losses, shares, alphas, strict=True)
        ),
    )


def _alphas(loss: LossBase, epochs: int) -> list[float]:
    end = loss.alpha if loss.alpha_end is None else loss.alpha_end
    last = max(epochs - 1, 1)
    return [loss.alpha + (end - loss.alpha) * epoch / last for epoch in range(epochs)]
