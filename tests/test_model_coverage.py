"""The benchmark's list of classifiers, and a slice of it that is tried here."""

from collections import Counter

import pytest

from benchmarks.model_coverage import CANDIDATES, try_all
from worker.engine.models import registry

SLICE = {
    "timm/lcnet_035",
    "timm/vit_tiny_patch16_224",
    "torchvision/mnasnet0_5",
    "torchvision/googlenet",
}


def test_the_list_has_sixty_that_the_registry_knows() -> None:
    assert len({candidate.name for candidate in CANDIDATES}) == len(CANDIDATES) == 60
    known = registry.options_by_name()
    assert all(candidate.name in known for candidate in CANDIDATES)
    families = Counter(candidate.name.partition("/")[0] for candidate in CANDIDATES)
    assert set(families) == {"timm", "torchvision"}


# torchvision means to change the initial weights of one of them.
@pytest.mark.filterwarnings("ignore:The default weight initialization:FutureWarning")
def test_files_of_their_libraries_register_reload_bit_equal_and_train() -> None:
    chosen = [candidate for candidate in CANDIDATES if candidate.name in SLICE]
    assert len(chosen) == len(SLICE)
    assert try_all(chosen) == {}
