"""How a model is trained, and what training and measuring report; shared by several kinds."""

from itertools import pairwise
from typing import Annotated, Literal

from annotated_types import Len
from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from service.contract.base import (
    MOST_GPUS,
    Contract,
    EachOnce,
    InputSize,
    JobSpecBase,
    ModelId,
    Sha256,
    Share,
)


class TrainingSpec(Contract):
    """Hyper-parameters of one training run."""

    epochs: int = Field(30, ge=1, le=10_000, description="Passes over the training split.")
    batch_size: int = Field(128, ge=1, le=65_536, description="Examples per optimizer step.")
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adam", description="Optimizer.")
    learning_rate: float = Field(1e-3, gt=0, le=10, description="Initial learning rate.")
    weight_decay: float = Field(0.0, ge=0, le=1, description="L2 penalty; decoupled for `adamw`.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum of `sgd`.")
    scheduler: Literal["constant", "step", "multistep", "cosine", "one_cycle"] = Field(
        "step",
        description="How the learning rate changes: from epoch to epoch, `one_cycle` at each step.",
    )
    step_size: int = Field(20, ge=1, description="`step`: epochs between two decays.")
    milestones: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Len(0, 100)] = Field(
        (),
        description="`multistep`: epochs, counted from 0, at which the rate decays.",
        examples=[[60, 120, 160]],
        validate_default=True,
    )
    gamma: float = Field(0.1, gt=0, le=1, description="`step`, `multistep`: factor of each decay.")
    warmup_epochs: int = Field(
        0, ge=0, description="Epochs over which the learning rate rises linearly from zero."
    )
    warmup_share: float = Field(
        0.3, gt=0, lt=1, description="`one_cycle`: share of the run in which the rate rises."
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Of the hard-label loss.")
    gradient_accumulation_steps: int = Field(
        1, ge=1, le=1024, description="Micro-batches per optimizer step; memory falls with it."
    )
    activation_checkpointing: bool = Field(
        False,
        description="Compute activations again for the backward pass: less memory, for the time "
        "of one more forward pass.",
    )
    max_grad_norm: float | None = Field(
        None, gt=0, description="Clip the global gradient norm to this."
    )
    ema_decay: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Validate and keep an exponential moving average of the weights.",
        examples=[0.999],
    )
    augmentation: Literal["none", "flip_and_crop", "rand_augment"] = Field(
        "none",
        description="`flip_and_crop`: random horizontal flip and a crop padded by 4; "
        "`rand_augment`: two random operations besides (RandAugment, magnitude 9 of 30).",
    )
    mixup_alpha: float = Field(
        0.0, ge=0, le=100, description="Mixup: weights drawn from Beta(alpha, alpha); 0 for none."
    )
    cutmix_alpha: float = Field(
        0.0,
        ge=0,
        le=100,
        description="CutMix, likewise. With both above 0 each batch draws one of the two.",
    )
    early_stopping_patience: int | None = Field(
        None, ge=1, description="Stop after so many epochs without a better validation accuracy."
    )

    @field_validator("warmup_epochs")
    @classmethod
    def _warms_up_within_the_run(cls, warmup: int, info: ValidationInfo) -> int:
        epochs = info.data.get("epochs")
        if epochs is not None and warmup >= epochs:
            raise PydanticCustomError(
                "impossible_combination",
                "warmup_epochs must be below epochs ({epochs})",
                {"epochs": epochs},
            )
        if warmup and info.data.get("scheduler") == "one_cycle":
            raise PydanticCustomError(
                "impossible_combination", "one_cycle rises by warmup_share, not warmup_epochs"
            )
        return warmup

    @field_validator("milestones")
    @classmethod
    def _rise(cls, milestones: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        scheduler = info.data.get("scheduler")
        if scheduler is not None and (scheduler == "multistep") != bool(milestones):
            raise PydanticCustomError(
                "impossible_combination", "milestones belong to multistep, which needs them"
            )
        if any(one >= other for one, other in pairwise(milestones)):
            raise PydanticCustomError("impossible_combination", "milestones must rise")
        return milestones

    @field_validator("gradient_accumulation_steps")
    @classmethod
    def _splits_the_batch(cls, steps: int, info: ValidationInfo) -> int:
        batch_size = info.data.get("batch_size")
        if batch_size is not None and steps > batch_size:
            raise PydanticCustomError(
                "impossible_combination",
                "gradient_accumulation_steps must not exceed batch_size ({batch_size})",
                {"batch_size": batch_size},
            )
        return steps


Seeds = Annotated[tuple[Annotated[int, Field(ge=0, lt=2**31)], ...], Len(1, 16), EachOnce]


class RepeatedSpec(JobSpecBase):
    """A job that trains, and may do so with several seeds."""

    seeds: Seeds | None = Field(
        None,
        description="Repeat the training with each of these seeds, in place of `seed`: report mean "
        "and deviation, keep the model that is best on validation.",
        examples=[[0, 1, 2]],
    )

    gpus: int = Field(
        1,
        ge=1,
        le=MOST_GPUS,
        description="Devices of one machine that train together, a process each, with the result "
        "of one. On a worker without GPUs: processes.",
    )

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """`seeds`, or `seed` alone."""
        return self.seeds or (self.seed,)


class EpochRecord(Contract):
    """One epoch of a training history."""

    epoch: int = Field(ge=1, description="Counted from 1.")
    losses: dict[str, float] = Field(
        description="Means over the epoch: `total`, and each named term before its weight.",
        examples=[{"total": 1.42, "hard": 0.61, "soft": 1.77}],
    )
    train_accuracy: Share = Field(description="On the training split, as trained.")
    validation_accuracy: Share = Field(description="On the validation split after the epoch.")
    validation_loss: float = Field(ge=0, description="Cross-entropy on the validation split.")
    learning_rate: float = Field(ge=0, description="Of the epoch's last step.")
    images_per_s: float = Field(ge=0, description="Training examples per second.")


class ReliabilityBin(Contract):
    """Examples whose top prediction is about as confident: one of 15 equal ranges of [0, 1]."""

    samples: int = Field(ge=1, description="How many they are.")
    confidence: Share = Field(description="Their mean confidence: the top class's probability.")
    accuracy: Share = Field(description="The share of them that is right.")


class Evaluation(Contract):
    """What a model scores on one split."""

    samples: int = Field(ge=1, description="Examples judged.")
    correct: int = Field(ge=0, description="Examples whose top prediction is right.")
    accuracy: Share = Field(description="correct ÷ samples.")
    loss: float = Field(ge=0, description="Mean cross-entropy.")
    per_class_accuracy: tuple[Share | None, ...] = Field(
        description="By class index; null for a class without examples."
    )
    calibration_error: Share = Field(
        description="Expected calibration error over 15 bins (Guo et al. 2017)."
    )
    reliability: tuple[ReliabilityBin, ...] = Field(
        (), description="The bins that have examples, by rising confidence."
    )


class ModelFacts(Contract):
    """A model's size, counted on the saved and reloaded artifact."""

    model: ModelId = Field(description="The model.")
    name: str = Field(description="What to call it in tables.")
    architecture: str = Field(description="Architecture name.")
    classes: int = Field(ge=1, description="Outputs.")
    input_size: InputSize = Field(description="Shape of one input.")
    parameters: int = Field(ge=0, description="Number of parameters.")
    nonzero_parameters: int = Field(ge=0, description="Parameters that are not zero.")
    macs: int | None = Field(
        ge=0,
        description="Multiply–accumulates of one forward pass of one input. Null for a graph "
        "whose shapes are not known.",
    )
    size_bytes: int = Field(ge=0, description="Bytes of model.safetensors, or model.onnx.")
    sha256: Sha256 = Field(description="Digest of the same file.")


class DataFacts(Contract):
    """The data a job read."""

    dataset: str = Field(description="As named in the spec.")
    digest: Sha256 = Field(description="SHA-256 over all arrays.")
    train: int = Field(ge=0, description="Training examples.")
    validation: int = Field(ge=0, description="Validation examples: they select.")
    test: int = Field(ge=0, description="Test examples: read once, for the result.")
    classes: int = Field(ge=1, description="Number of classes.")


class Environment(Contract):
    """Where a job ran."""

    device: str = Field(description="`cpu` or `cuda`.")
    device_name: str = Field(description="Marketing name of the processor or GPU.")
    precision: str = Field(description="The arithmetic actually used.")
    threads: int = Field(ge=1, description="Threads of one operator.")
    cpu_count: int = Field(ge=1, description="Processors the engine may use.")
    platform: str = Field(description="Operating system and machine.")
    python: str = Field(description="Python version.")
    libraries: dict[str, str] = Field(description="Versions of torch and its relatives.")
    cuda: str | None = Field(None, description="CUDA version of torch, if it has one.")
    driver: str | None = Field(None, description="GPU driver version, where there is a GPU.")


class SeedResult(Contract):
    """The model of one seed."""

    seed: int = Field(description="The seed.")
    best_epoch: int = Field(ge=1, description="The epoch whose weights were kept.")
    validation_accuracy: Share = Field(description="On the validation split.")
    test_accuracy: Share = Field(description="On the test split.")


class SeedsSummary(Contract):
    """Test accuracy over several seeds."""

    n: int = Field(ge=2, description="Number of seeds.")
    mean: Share = Field(description="Mean test accuracy.")
    std: float = Field(ge=0, description="Sample standard deviation of the test accuracy.")
    runs: tuple[SeedResult, ...] = Field(description="Each seed.")


class TrainedResult(Contract):
    """What every job that trains a model reports."""

    model: ModelId = Field(description="The model it made.")
    facts: ModelFacts = Field(description="Its size.")
    history: tuple[EpochRecord, ...] = Field(description="One record per epoch.")
    best_epoch: int = Field(ge=1, description="The epoch whose weights were kept, by validation.")
    steps: int = Field(ge=0, description="Optimizer steps taken.")
    training_s: float = Field(ge=0, description="Seconds in training, over all attempts.")
    images_per_s: float = Field(ge=0, description="Training examples per second, on average.")
    validation: Evaluation = Field(description="Of the saved model on the validation split.")
    test: Evaluation = Field(description="Of the saved model on the test split, read once.")
    data: DataFacts = Field(description="The data.")
    environment: Environment = Field(description="Where it ran.")
    seed: int = Field(description="The seed used; of several, that of the model that was kept.")
    seeds: SeedsSummary | None = Field(None, description="Where several seeds were asked for.")
    warnings: tuple[str, ...] = Field((), description="What a careful reader should know.")


TrainingField = Annotated[
    TrainingSpec, Field(default_factory=TrainingSpec, description="Hyper-parameters.")
]
