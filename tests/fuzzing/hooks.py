"""What the run may not do to itself, and which refusals are no failure. Schemathesis loads it."""

import os
from typing import Any, Final

import schemathesis

_OWN_KEY: Final = os.environ["MODELPRESS_FUZZING_KEY_ID"]
_NO_KEY: Final = "key_" + "0" * 26

# A request may be all that the document allows and still be refused. Those with the code `invalid`
# are failures: what they break, the document could say.
_DECIDED_ELSEWHERE: Final = {
    # by what is in the store
    "unknown_file",
    "unknown_reference",
    "unusable_reference",
    "incompatible_models",
    "incompatible_dataset",
    "not_trainable",
    "not_exportable",
    "conflicting_targets",
    "idempotency_mismatch",
    # by the bytes that were uploaded
    "invalid_model",
    "invalid_dataset",
    "unsupported_weights",
    "unsupported_dataset_file",
    "gone",
    # by the operator: sources, built-in datasets, workers' architectures, networks, sizes
    "unknown_source",
    "unknown_dataset",
    "unknown_architecture",
    "webhook_url_not_allowed",
    "too_large",
    # by the clock
    "expiry_in_the_past",
    # by several fields together: JSON Schema has no word for "milestones must rise"
    "impossible_combination",
    "bad_source_path",
}


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """The run shall not lock itself out: its key stays, and its project keeps its room."""
    parameters = case.path_parameters or {}
    if parameters.get("key_id") == _OWN_KEY:
        parameters["key_id"] = _NO_KEY
    if case.method == "PUT" and parameters.get("project") == "default":
        parameters["project"] = "other"


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Whether it counts."""
    if type(failure).__name__ != "RejectedPositiveData":
        return True
    return response.json().get("code") not in _DECIDED_ELSEWHERE
