"""Which layers lose most in int8, and how many of them have to stay float."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from worker.engine.quantize.layers import Layer
from worker.engine.quantize.tool import Int8Tool


@dataclass(frozen=True)
class Sensitivity:
    """`error` is what int8 in this layer alone does to the logits: mean square of the difference
    ÷ mean square of the float logits."""

    layer: Layer
    error: float


def sensitivities(
    quantizer: Int8Tool,
    layers: Sequence[Layer],
    logits_of: Callable[[nn.Module], Tensor],
    reference: Tensor,
    on_layer: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Sensitivity, ...]:
    """One per layer, the worst first. `logits_of` runs it over the examples of `reference`."""
    scale = float(reference.double().pow(2).mean())
    found = []
    for done, layer in enumerate(layers):
        on_layer(done, len(layers))
        difference = logits_of(quantizer.only(layer)) - reference
        error = float(difference.double().pow(2).mean()) / scale if scale else 0.0
        found.append(Sensitivity(layer, error))
    return tuple(sorted(found, key=lambda one: -one.error))


def least_kept(is_good: Callable[[int], bool], most: int) -> int | None:
    """The smallest number of layers to keep float that is good enough, tried as 1, 2, 4 … and
    then halved between; None if `most` is not enough. 0 is taken to be too few."""
    low, high = 0, 1
    while not is_good(min(high, most)):
        if high >= most:
            return None
        low, high = high, high * 2
    high = min(high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_good(middle) else (middle, high)
    return high
