"""/metrics as its reader sees it."""

from prometheus_client.parser import text_string_to_metric_families

from service.api.measures import Measures
from service.store.session import Database

LEASE_S = 10.0


class Figures:
    """The samples of one scrape, by name and labels."""

    def __init__(self, text: str) -> None:
        self.families = list(text_string_to_metric_families(text))
        self._samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float:
        return self._samples[f"modelpress_{name}", frozenset(labels.items())]

    @property
    def names(self) -> set[str]:
        """Of samples, as queries name them."""
        return {name for name, _ in self._samples}


def scrape(measures: Measures, database: Database) -> Figures:
    """What the application would answer."""
    return Figures(measures.exposition(database, LEASE_S, broker_up=True).decode())
