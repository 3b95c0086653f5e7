"""BatchNorm over the rows of all processes, on any device. Shapes: B batch, C channels.

torch's SyncBatchNorm is for GPUs alone.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

from worker.engine.group import Group


class SharedNorm:
    """What the BatchNorms of a run have in common; with none of them it does nothing."""

    def __init__(self, modules: Sequence[nn.Module], group: Group) -> None:
        self._group = group
        self._norms = [
            norm
            for module in modules
            for norm in module.modules()
            if isinstance(norm, _BatchNorm) and group.size > 1
        ]
        self.is_counted = True  # whether the rows at hand are this process's

    @property
    def is_needed(self) -> bool:
        """Whether processes wait for each other within the forward and the backward pass."""
        return bool(self._norms)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within, BatchNorms in training mode see the rows of all processes."""
        for norm in self._norms:
            # On the module itself, before its class's, which `del` brings back.
            norm.forward = self._forward(norm)  # type: ignore[method-assign]  # that is the point
        try:
            yield
        finally:
            for norm in self._norms:
                del norm.forward

    def _forward(self, norm: _BatchNorm) -> Any:
        own = norm.forward  # of a subclass, which may do more than normalise

        def forward(*inputs: Any, **options: Any) -> Any:
            with _Intercepted(self):
                return own(*inputs, **options)

        return forward

    def normalised(
        self,
        x: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None,
        bias: Tensor | None,
        momentum: float,
        eps: float,
    ) -> Tensor:
        """`F.batch_norm` in training mode, with the statistics of all processes' rows."""
        mean_C, var_C, count = self._statistics(x.float())
        if running_mean is not None and running_var is not None:
            with torch.no_grad():
                running_mean.lerp_(mean_C, momentum)
                running_var.lerp_(var_C * (count / (count - 1)), momentum)
        scale_C = (var_C + eps).rsqrt()
        if weight is not None:
            scale_C = scale_C * weight
        shift_C = -mean_C * scale_C if bias is None else bias - mean_C * scale_C
        shape = (1, -1, *(1,) * (x.ndim - 2))
        return torch.addcmul(shift_C.view(shape), x.float(), scale_C.view(shape)).to(x.dtype)

    def _statistics(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and biased variance [C], and how many values each is of.

        Each process's mean and squared deviations are merged (Chan et al. 1979): sums of squares
        would cancel.
        """
        places = [dim for dim in range(x.ndim) if dim != 1]
        mean_C = x.mean(places)
        square_C = (x - mean_C.view(1, -1, *(1,) * (x.ndim - 2))).square().sum(places)
        counted = x.numel() // x.shape[1] if self.is_counted else 0
        own = torch.cat([mean_C, square_C, mean_C.new_full((1,), float(counted))])
        if not counted:
            own = own * 0
        before, after = self._group.rank, self._group.size - self._group.rank - 1
        everyone = F.pad(own[None], (0, 0, before, after))
        everyone = _Summed.apply(everyone, self._group)
        means, squares, counts = everyone.split([len(mean_C), len(mean_C), 1], dim=1)
        count = counts.sum()
        mean_C = (counts * means).sum(0) / count
        var_C = (squares + counts * (means - mean_C).square()).sum(0) / count
        return mean_C, var_C, count


class _Summed(torch.autograd.Function):
    """A sum over processes whose gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, group: Group) -> Tensor:
        ctx.group = group
        summed = tensor.clone()
        group.add([summed])
        return summed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        summed = gradients[0].contiguous().clone()
        ctx.group.add([summed])
        return summed, None


class _Intercepted(TorchFunctionMode):
    def __init__(self, shared: SharedNorm) -> None:
        super().__init__()
        self._shared = shared

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.batch_norm:
            return self._batch_norm(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _batch_norm(
        self,
        input: Tensor,  # noqa: A002  # torch's name
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        if not training:
            return F.batch_norm(
                input, running_mean, running_var, weight, bias, False, momentum, eps
            )
        return self._shared.normalised(
            input, running_mean, running_var, weight, bias, momentum, eps
        )
