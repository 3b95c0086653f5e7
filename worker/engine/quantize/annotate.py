"""Which tensors of an exported program get int8, told to torchao in its own words.

What is marked is what ONNX Runtime runs in integers: every convolution reads and gives int8, with
the ReLU after it; products read int8; sums of what convolutions gave stay int8 between them.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import torch
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e.fake_quantize import FakeQuantize
from torchao.quantization.pt2e.observer import (
    MinMaxObserver,
    MovingAverageMinMaxObserver,
    MovingAveragePerChannelMinMaxObserver,
    PerChannelMinMaxObserver,
)
from torchao.quantization.pt2e.quantizer import (
    QuantizationAnnotation,
    QuantizationSpec,
    Quantizer,
    SharedQuantizationSpec,
)

_A: Final = torch.ops.aten
CONVOLUTIONS: Final = (_A.conv1d.default, _A.conv2d.default)
NORMS: Final = (_A.batch_norm.default,)
_RELUS: Final = (_A.relu.default, _A.relu_.default)
_SUMS: Final = (_A.add.Tensor, _A.add_.Tensor, _A.mul.Tensor)
# What only moves numbers: integers go through with the scale that they have.
_MOVES: Final = (
    *(_A.max_pool2d.default, _A.flatten.using_ints, _A.view.default, _A.reshape.default),
    *(_A.permute.default, _A.transpose.int, _A.slice.Tensor, _A.pad.default),
)
_NOTE: Final = "quantization_annotation"
WEIGHT_LIMITS: Final = {True: 127, False: 63}
"""The largest weight where products of int8 are added in 32 bits, and where in 16."""


class Int8Quantizer(Quantizer):  # type: ignore[misc]  # torchao has no types
    """Marks the layers whose names `takes` accepts: weights symmetric with a scale for each
    output, activations uint8 with one. With `aware` they are rounded while they train.

    The observers of activations have a `key`, which is the same for the same tensor in every
    program that was exported from the module.
    """

    def __init__(
        self,
        takes: Callable[[str], bool],
        *,
        weight_limit: int = 127,
        aware: bool = False,
        between: bool = True,
    ) -> None:
        """Without `between` the layers alone are marked, not the sums between them."""
        super().__init__()
        self._takes, self._aware, self._between = takes, aware, between
        self._weight = _weight_spec(weight_limit, aware)
        self._specs: dict[Node, Any] = {}

    def annotate(self, model: GraphModule) -> GraphModule:
        """In the order of the graph, so that what a sum reads is known before it."""
        for node in list(model.graph.nodes):
            name = layer_name(node)
            if name is not None and self._takes(name):
                self._layer(node)
            elif not self._between:
                continue
            elif node.target in _SUMS:
                self._sum(node)
            elif node.target in _MOVES:
                self._move(node)
        return model

    def validate(self, model: GraphModule) -> None:
        """There is nothing that this could refuse."""

    def _layer(self, node: Node) -> None:
        source, weight = node.args[0], node.args[1]
        self._mark(node, {source: self._activation(source), weight: self._weight})
        if node.target in CONVOLUTIONS:
            self._give(node, NORMS, _RELUS)

    def _sum(self, node: Node) -> None:
        terms = [term for term in node.args[:2] if isinstance(term, Node)]
        if len(terms) < 2 or any(term.op == "get_attr" for term in terms):
            return
        if any(self._gives(term) for term in terms):
            self._mark(node, {term: self._activation(term) for term in terms})
            self._give(node, _RELUS)

    def _move(self, node: Node) -> None:
        source = node.args[0]
        if isinstance(source, Node) and self._gives(source) and not _pads_by_other(node):
            self._mark(node, {source: self._activation(source)})
            self._specs[node] = SharedQuantizationSpec((source, node))
            node.meta[_NOTE].output_qspec = self._specs[node]

    def _mark(self, node: Node, inputs: Mapping[Any, Any]) -> None:
        node.meta[_NOTE] = QuantizationAnnotation(input_qspec_map=dict(inputs), _annotated=True)

    def _give(self, node: Node, *followers: tuple[Any, ...]) -> None:
        """What `node` gives is in int8, after each of the followers that comes next alone."""
        for targets in followers:
            users = list(node.users)
            if len(users) == 1 and users[0].target in targets:
                node = users[0]
                self._mark(node, {})
        node.meta[_NOTE].output_qspec = self._activation(node)

    def _gives(self, node: Node) -> bool:
        note = node.meta.get(_NOTE)
        return note is not None and note.output_qspec is not None

    def _activation(self, node: Any) -> Any:
        """One for each tensor, so that who gives it and who reads it share an observer."""
        if node not in self._specs:
            self._specs[node] = _activation_spec(_key(node), self._aware)
        return self._specs[node]


def layer_name(node: Node) -> str | None:
    """The name in the model of a layer that can be in int8; None for any other node."""
    if node.target not in (*CONVOLUTIONS, _A.linear.default):
        return None
    weight = node.args[1]
    if not isinstance(weight, Node) or weight.op != "get_attr":
        return None
    return str(weight.target).removesuffix(".weight")


def _key(node: Node) -> str:
    """What is only moved has the range of its source; and folding a norm into the convolution
    before it leaves that one's name alone."""
    while node.target in (*_MOVES, *NORMS) and not _pads_by_other(node):
        assert isinstance(node.args[0], Node)
        node = node.args[0]
    return node.name


def _pads_by_other(node: Node) -> bool:
    """Whether it pads by other than zeros, which alone have an integer for certain."""
    return node.target is _A.pad.default and len(node.args) > 2


def _activation_spec(key: str, aware: bool) -> Any:
    kind = {"dtype": torch.uint8, "quant_min": 0, "quant_max": 255}
    scheme = torch.per_tensor_affine
    make = (
        partial(FakeQuantize, observer=MovingAverageMinMaxObserver, averaging_constant=0.01)
        if aware
        else MinMaxObserver
    )

    def observer(**_: Any) -> Any:
        made = make(**kind, qscheme=scheme)
        made.key = key
        return made

    return QuantizationSpec(**kind, qscheme=scheme, observer_or_fake_quant_ctr=_Made(observer))


def _weight_spec(limit: int, aware: bool) -> Any:
    kind = {"dtype": torch.int8, "quant_min": -limit, "quant_max": limit}
    scheme = torch.per_channel_symmetric
    make = (
        partial(
            FakeQuantize,
            observer=MovingAveragePerChannelMinMaxObserver,
            averaging_constant=1.0,  # a weight's range is what it is now
        )
        if aware
        else PerChannelMinMaxObserver
    )

    def observer(**_: Any) -> Any:
        return make(**kind, qscheme=scheme, ch_axis=0)

    return QuantizationSpec(
        **kind, qscheme=scheme, ch_axis=0, observer_or_fake_quant_ctr=_Made(observer)
    )


class _Made:
    """A constructor in the form that torchao asks for, which knows all its arguments."""

    __name__ = "PerChannel"  # by which torchao tells whether to pass an axis

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, **options: Any) -> Any:
        return self._make(**options)

    def with_args(self, **_: Any) -> "_Made":
        return self
