"""One optimizer step: gradients in as many parts as memory asks for. Shapes: B batch, K classes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from worker.engine.data.batches import Batch, Normalizer
from worker.engine.device import Precision, autocast, grad_scaler, has_bf16
from worker.engine.errors import NotTrainable, OutOfMemory, memory_errors
from worker.engine.seeds import derived_seed
from worker.engine.train.meter import EpochMeter
from worker.engine.train.objective import Loss, Objective
from worker.engine.train.settings import Settings, make_optimizer
from worker.engine.train.shared_norm import SharedNorm


@dataclass(frozen=True)
class _Seen:
    """What this process's rows of a micro-batch of `examples` gave, without its graph."""

    examples: int
    loss: Loss
    logits: Tensor
    labels: Tensor


class Stepper:
    """Takes the steps of a run, and owns what they change beside the weights."""

    def __init__(
        self,
        model: nn.Module,
        learned: nn.Module,
        objective: Objective,
        normalise: Normalizer,
        settings: Settings,
        precision: Precision,
        warn: Callable[[str], None],
    ) -> None:
        if not any(p.requires_grad for p in model.parameters()):
            raise NotTrainable("the model has no weights to train")
        self._model, self._objective, self._normalise = model, objective, normalise
        self._max_grad_norm, self._warn = settings.max_grad_norm, warn
        self._group, self._seed = settings.group, settings.seed
        self.device = normalise.scale.device
        self.precision: Precision = precision
        self._precision_is_free = settings.precision == "auto"
        self.micro_batches = settings.gradient_accumulation_steps
        both = (*model.parameters(), *learned.parameters())
        self._parameters = [p for p in both if p.requires_grad]
        self.optimizer = make_optimizer(self._parameters, settings)
        self.scaler = grad_scaler(self.device, precision)
        self.norms = SharedNorm((model, learned), settings.group)
        self._undo = _Undo((*model.buffers(), *learned.buffers()), self.device)

    def __call__(self, batch: Batch, rate: float, number: int, meter: EpochMeter) -> None:
        """Step `number` of the run. No value is waited for: `meter` remembers what was wrong."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        if not self._group.is_first:
            # Dropout draws for other rows; from the position, so that no state has to be kept.
            torch.manual_seed(derived_seed(self._seed, "rank", self._group.rank, number))
        for seen in self._gradients(batch):
            meter.add(seen.loss, seen.logits, seen.labels, seen.examples)
            meter.watch(seen.loss.total, number)
        self._group.add([p.grad for p in self._parameters if p.grad is not None])
        self.scaler.unscale_(self.optimizer)
        norm = get_total_norm([p.grad for p in self._parameters if p.grad is not None])
        if self._max_grad_norm is not None:
            clip_grads_with_norm_(self._parameters, self._max_grad_norm, norm)
        if not self.scaler.is_enabled():
            # An active scaler expects overflow: it skips the step and lowers its factor.
            meter.watch(norm, number)
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def _gradients(self, batch: Batch) -> list[_Seen]:
        """Those of the whole batch, whose parts are halved until they fit into memory."""
        while True:
            self.optimizer.zero_grad(set_to_none=True)
            self._undo.remember()
            seen: list[_Seen] = []
            try:
                with memory_errors():
                    seen = [self._micro(m, batch) for m in batch.chunks(self.micro_batches)]
            except OutOfMemory:
                # Who waits for this process within the step would wait for ever.
                if self.micro_batches >= len(batch) or self.norms.is_needed:
                    raise
            if not self._group.any(not seen):
                return seen
            # Not in the handler: the error holds the frames, and these the activations.
            seen.clear()
            self._undo.restore()
            self._halve(len(batch))

    def _micro(self, whole: Batch, batch: Batch) -> _Seen:
        rows = self._group.rows(len(whole))
        counted = rows.stop - rows.start
        # Without a row of its own a process takes one that counts nothing, to keep step.
        micro = whole.at(rows if counted else slice(0, 1))
        self.norms.is_counted = counted > 0
        with autocast(self.device, self.precision):
            inputs = self._normalise(micro.x)
            logits_BK = self._model(inputs)
            loss = self._objective(logits_BK, micro, inputs)
        share = loss.total * (counted / len(batch))
        torch.autograd.backward(self.scaler.scale(share))
        terms = {name: term.detach() for name, term in loss.terms.items()}
        total = Loss(loss.total.detach(), terms)
        return _Seen(len(whole), total, logits_BK.detach()[:counted], micro.y[:counted])

    def _halve(self, examples: int) -> None:
        self.micro_batches = min(2 * self.micro_batches, examples)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()  # what was kept for the larger size
        self._warn(
            f"memory ran out: steps of {examples} examples are taken in {self.micro_batches} "
            "micro-batches from here on, with the same result but for BatchNorm and dropout"
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything, as tensors and plain values."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "precision": self.precision,
            "micro_batches": self.micro_batches,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`; where `auto` chose, its choice stands while the device has it."""
        if self._precision_is_free and has_bf16(self.device):
            self.precision = state["precision"]
        self.scaler.load_state_dict(state["scaler"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.micro_batches = state["micro_batches"]


_TYPES: Final = (torch.float32, torch.int64)  # those of BatchNorm's statistics


class _Undo:
    """What a forward pass changes although it may fail: buffers and random generators."""

    def __init__(self, buffers: tuple[Tensor, ...], device: torch.device) -> None:
        self._device = device
        # One kernel copies all tensors of a type; a run on a GPU notices more.
        self._groups = [[b for b in buffers if b.dtype == dtype] for dtype in _TYPES]
        self._groups += [[b] for b in buffers if b.dtype not in _TYPES]
        self._groups = [group for group in self._groups if group]
        self._kept = [[b.clone() for b in group] for group in self._groups]
        self._random: list[Tensor] = []

    def remember(self) -> None:
        """Now is where `restore` comes back to."""
        self._copy(self._groups, self._kept)
        self._random = [torch.get_rng_state()]
        if self._device.type == "cuda":
            self._random.append(torch.cuda.get_rng_state(self._device))

    def restore(self) -> None:
        self._copy(self._kept, self._groups)
        torch.set_rng_state(self._random[0])
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(self._random[1], self._device)

    @staticmethod
    @torch.no_grad()
    def _copy(sources: list[list[Tensor]], targets: list[list[Tensor]]) -> None:
        for source, target in zip(sources, targets, strict=True):
            torch._foreach_copy_(target, source)
