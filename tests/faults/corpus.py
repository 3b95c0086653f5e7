"""More than two thousand malformed files: the same ones for the same number."""

import random
from collections.abc import Iterator
from itertools import chain

from tests.faults.case import Case
from tests.faults.lies_of_arrays import lies_of_arrays
from tests.faults.lies_of_graphs import lies_of_graphs
from tests.faults.lies_of_pictures import lies_of_parquet, lies_of_pictures, lies_of_tables
from tests.faults.lies_of_weights import lies_of_safetensors, lies_of_torch
from tests.faults.lies_of_zips import lies_of_configs, lies_of_zips
from tests.faults.mutations import mutants
from tests.faults.seeds import seeds
from tests.faults.wrong_types import wrong_types


def crafted() -> Iterator[Case]:
    """Lies that somebody had to think of."""
    return chain(
        lies_of_safetensors(),
        lies_of_torch(),
        lies_of_zips(),
        lies_of_configs(),
        lies_of_graphs(),
        lies_of_arrays(),
        lies_of_pictures(),
        lies_of_parquet(),
        lies_of_tables(),
    )


def corpus(number: int = 0) -> list[Case]:
    """All, in an order that mixes the formats."""
    cases = list(chain(crafted(), wrong_types(), *(mutants(seed, number) for seed in seeds())))
    random.Random(number).shuffle(cases)
    return cases
