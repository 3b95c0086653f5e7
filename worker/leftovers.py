"""Folders that a killed worker left behind: inputs and weights that nobody deletes any more."""

import logging
import re
import shutil
from pathlib import Path
from typing import Final

from service.contract.lifecycle import LEASED
from service.errands import Errands
from service.store.datasets import DatasetStore
from service.store.errors import NotFound
from service.store.jobs import JobStore
from service.store.models import ModelStore
from service.store.session import Database

log = logging.getLogger(__name__)

_LOOK_S: Final = 300.0
_FOLDER: Final = re.compile(r"((job|mdl|dst)_[0-9A-Z]{26})-([0-9]{1,9})")


class Leftovers:
    """A thread of each worker: those of a machine may share the scratch folder, and the one that
    was killed may never come back."""

    def __init__(self, database: Database, scratch: Path) -> None:
        self._database = database
        self._scratch = scratch
        self._errands = Errands("leftovers", self._look, pause_s=_LOOK_S)

    def start(self) -> None:
        """Begin, with a first look at once."""
        self._errands.start()

    def close(self) -> None:
        """Stop."""
        self._errands.close()

    def clear(self) -> int:
        """Delete the folders of runs that are over, whoever made them. Returns how many.

        A run that was fenced out may still write into its own: what it makes is thrown away anyhow.
        Rows that are not there are another database's, for all we know; their folders stay.
        """
        gone = 0
        for folder in list(self._scratch.iterdir()) if self._scratch.exists() else ():
            named = _FOLDER.fullmatch(folder.name)
            if named is not None and self._is_over(named[2], named[1], int(named[3])):
                shutil.rmtree(folder, ignore_errors=True)
                log.info("deleted %s, which a worker left behind", folder.name)
                gone += 1
        return gone

    def _is_over(self, kind: str, owner_id: str, run: int) -> bool:
        try:
            with self._database.read() as session:
                if kind == "job":
                    job = JobStore(session).get(owner_id)
                    return job.run != run or job.status not in LEASED
                store = ModelStore(session) if kind == "mdl" else DatasetStore(session)
                checked = store.get(owner_id)
                return checked.check_run != run or checked.status != "checking"
        except NotFound:
            return False

    def _look(self) -> bool:
        self.clear()
        return False
