"""What a prune spec may say against what the engine can do."""

from typing import get_args

from service.contract import prune
from worker.engine.prune.importance import CRITERIA
from worker.engine.prune.masks import MaskImportance
from worker.engine.prune.recipe import IMPORTANCES_OF, AllocationName, MethodName, Recipe
from worker.engine.prune.regularise import Regulariser
from worker.engine.prune.schedule import ScheduleName


def test_every_importance_is_a_criterion() -> None:
    assert set(get_args(prune.Importance)) == set(CRITERIA)
    unstructured = prune.UnstructuredMethod.model_fields["importance"].annotation
    assert get_args(unstructured) == get_args(MaskImportance) == IMPORTANCES_OF["unstructured"]
    assert set(IMPORTANCES_OF) == set(get_args(MethodName))


def test_methods_allocations_and_schedules_agree() -> None:
    methods = (
        prune.StructuredMethod, prune.UnstructuredMethod, prune.NmMethod, prune.StructuredMaskMethod
    )  # fmt: skip
    assert [method().name for method in methods] == list(get_args(MethodName))
    assert get_args(prune.Allocation) == get_args(AllocationName)
    assert get_args(prune.Schedule.model_fields["name"].annotation) == get_args(ScheduleName)
    assert get_args(prune.Sparsify.model_fields["name"].annotation) == get_args(Regulariser)


def test_a_default_spec_is_the_default_recipe() -> None:
    method, recipe = prune.StructuredMethod(), Recipe()
    assert (method.importance, method.max_pruning_ratio, method.round_to) == (
        recipe.importance,
        recipe.max_pruning_ratio,
        recipe.round_to,
    )
