"""Why a job, a model or a dataset failed: a closed list of codes, each with what to do next."""

from typing import Final, Literal

from pydantic import Field

from service.contract.base import Contract

JobErrorCode = Literal[
    "invalid_model",
    "invalid_dataset",
    "incompatible_models",
    "incompatible_dataset",
    "invalid_checkpoint",
    "not_trainable",
    "not_prunable",
    "not_quantizable",
    "target_not_reached",
    "not_exportable",
    "runtime_missing",
    "unsupported_device",
    "out_of_memory",
    "device_error",
    "diverged",
    "timeout",
    "worker_lost",
    "engine_crashed",
    "dependency_failed",
    "disk_full",
    "storage_unavailable",
    "source_not_found",
    "source_unavailable",
    "internal",
]

HINTS: Final[dict[JobErrorCode, str]] = {
    "invalid_model": "Check that the weights belong to the architecture and options you named.",
    "invalid_dataset": "Check the file's layout against the documentation of datasets.",
    "incompatible_models": "Teacher and student must agree on classes and input size.",
    "incompatible_dataset": "The model's classes and input size must match the dataset's.",
    "invalid_checkpoint": "Retry with `from=start`.",
    "not_trainable": "Send weights with an architecture; a runtime graph cannot be trained.",
    "not_prunable": "Ask for a smaller ratio, or leave the layer it names out: `ignored_layers`.",
    "not_quantizable": "Ask for another method, or leave the layer it names out.",
    "target_not_reached": "Relax the target that it names, or allow more fine-tuning.",
    "not_exportable": "Choose another runtime or format for this architecture.",
    "runtime_missing": "Ask for another format, or start a worker that has the runtime.",
    "unsupported_device": "Ask for `device: auto`, or start a worker that has the device.",
    "out_of_memory": "Lower `batch_size`, or raise `gradient_accumulation_steps`.",
    "device_error": "The GPU or its driver failed. Look at the log and the machine, then retry.",
    "diverged": "Lower `training.learning_rate`, or set `training.max_grad_norm`.",
    "timeout": "Raise `timeout_s`, or retry from the checkpoint.",
    "worker_lost": "Its workers died. Look at their logs before you retry.",
    "engine_crashed": "The engine process died. The job's log has its last words.",
    "dependency_failed": "Look at the error of the job it waited for, then submit both again.",
    "disk_full": "Free space on the worker, then retry from the checkpoint.",
    "storage_unavailable": "The blob store did not answer. Retry when it does.",
    "source_not_found": "Check the path within the source; ask the operator what it holds.",
    "source_unavailable": "The source did not answer, or refused. Register again when it does.",
    "internal": "A defect of the service. Report it with the job's id and log.",
}


class JobError(Contract):
    """Why it failed, in words, and what to do next."""

    code: JobErrorCode = Field(description="One of a closed list.", examples=["diverged"])
    message: str = Field(description="What happened.", examples=["loss is not finite at step 42"])
    hint: str | None = Field(None, description="What to do next.")

    @classmethod
    def of(cls, code: JobErrorCode, message: str, hint: str | None = None) -> "JobError":
        """An error whose hint is the code's own unless one is given."""
        return cls(code=code, message=message, hint=hint or HINTS[code])
