"""What is on disk survives: training under SIGKILL, checkpoint writes, SQLite writers, memory.

Rows 6, 9, 10 and 19 of docs/reliability.md, without the service around them: engine children are
killed as they train and as they write, eight processes count on one SQLite file, a small disk is
filled, and memory runs out at each of twenty steps. Counts are complete from MINUTES=2 on.
"""

import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Final

from sqlalchemy import select, update

from benchmarks.faults.tmpfs import fill, tmpfs
from benchmarks.figures import Options, Report
from benchmarks.killed import INTERVAL, checkpoint_step, read_told, weights_digest
from service.contract.ids import new_id
from service.store.errors import DatabaseUnavailable
from service.store.files import FileStore
from service.store.migrate import upgrade
from service.store.session import Database
from service.store.tables import FileRow
from worker.engine.checkpoint import checkpoint_path, list_checkpoints, load, save
from worker.engine.errors import DiskFull, InvalidCheckpoint
from worker.engine_host import EngineHost

_WRITERS: Final = 8


def run(options: Options) -> Report:
    """Needs no service; the disk of the temporary folder is what is tested."""
    report = Report()
    share = min(1.0, options.minutes / 2)
    random = Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="mp-") as name, _host(Path(name)) as host:
        folder = Path(name)
        _training(report, host, folder, random, max(3, round(50 * share)))
        _checkpoint_writes(report, host, folder, random, max(10, round(200 * share)))
        _full_disk(report, folder, random)
        _sqlite(report, folder, max(20, round(1000 * share)))
    _out_of_memory(report)
    return report


@contextmanager
def _host(folder: Path) -> Iterator[EngineHost]:
    with EngineHost(folder) as host:
        host.wait_ready(120)
        yield host


def _training(report: Report, host: EngineHost, folder: Path, random: Random, kills: int) -> None:
    """Kill at a random moment, go on from the folder of checkpoints, until that many kills."""
    untouched = folder / "untouched"
    _until_end(host, untouched)
    expected = weights_digest(untouched)
    done, differ, most_lost, runs = 0, 0, 0, 0
    while done < kills:
        home = folder / f"killed-{runs}"
        runs += 1
        while not _killed(host, home, "train", random.uniform(0.0, 0.4)):
            pass_over = read_told(home)
            # What the next start repeats; the last word may be a step behind what was done.
            most_lost = max(most_lost, pass_over - checkpoint_step(home))
            done += 1
        differ += weights_digest(home) != expected
    report.at_most(f"6: runs that ended with other weights, of {runs}", differ, "", 0, "0")
    report.at_most("6: steps lost by a kill, most", most_lost, "steps", INTERVAL, "≤ an interval")
    report.at_least("6: SIGKILLs during training", done, "", kills, "≥ 50 in a full run")


def _checkpoint_writes(
    report: Report, host: EngineHost, folder: Path, random: Random, kills: int
) -> None:
    home, corrupt, forgotten = folder / "writes", 0, 0
    for _ in range(kills):
        assert not _killed(host, home, "write", random.uniform(0.001, 0.08))
        found = list_checkpoints(home / "checkpoints")
        for path in found:
            try:
                load(path)
            except InvalidCheckpoint:
                corrupt += 1
        forgotten += checkpoint_step(home) < read_told(home)
    report.at_most(f"10: corrupt after {kills} kills during writes", corrupt, "", 0, "0 of 200")
    report.at_most("10: checkpoints told of and not there", forgotten, "", 0, "0")


def _full_disk(report: Report, folder: Path, random: Random) -> None:
    import torch

    small = folder / "small"
    small.mkdir()
    typed = kept = 0
    with tmpfs(small, 16) as mounted:
        if not mounted:
            report.skip("10: full disk", "a file system in memory needs root")
            return
        save(checkpoint_path(small, 1), {"weights": torch.ones(1000)})
        for step in range(2, 22):
            ballast = fill(small, leave_bytes=random.randrange(0, 3 << 20))
            try:
                save(checkpoint_path(small, step), {"weights": torch.ones(1_000_000)})
            except DiskFull:
                typed += 1
            ballast.unlink()
            kept += torch.equal(load(checkpoint_path(small, 1))["weights"], torch.ones(1000))
    report.at_least("10: full disks that are a typed error", typed, "of 20", 20, "20 of 20")
    report.at_least("10: checkpoints before them that are whole", kept, "of 20", 20, "20 of 20")


def _sqlite(report: Report, folder: Path, times: int) -> None:
    url = f"sqlite:///{folder / 'counter.db'}"
    upgrade(url)
    database = Database(url)
    with database.transaction() as session:
        FileStore(session).put("p", "counter", "a" * 64, 0)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])  # torch, once instead of eight times
    started = time.monotonic()
    with ProcessPoolExecutor(_WRITERS, mp_context=processes) as pool:
        errors = sum(pool.map(count_up, [url] * _WRITERS, [times] * _WRITERS))
    took = time.monotonic() - started
    with database.read() as session:
        lost = _WRITERS * times - session.execute(select(FileRow.bytes)).scalar_one()
    database.close()
    name = f"9: updates lost by {_WRITERS} processes of {times}"
    report.at_most(name, lost, "", 0, "0 (8 processes × 1,000)")
    report.at_most("9: lock errors", errors, "", 0, "0")
    report.told("9: transactions", _WRITERS * times / took, "/s")


def count_up(url: str, times: int) -> int:
    """Read, add one, write; the errors."""
    database, errors = Database(url), 0
    for _ in range(times):
        try:
            with database.transaction() as session:
                count = session.execute(select(FileRow.bytes)).scalar_one()
                session.execute(update(FileRow).values(bytes=count + 1))
        except DatabaseUnavailable:
            errors += 1
    database.close()
    return errors


def _out_of_memory(report: Report) -> None:
    """The injection of the tests: an error of the allocator in one forward or backward pass."""
    import torch

    from tests.worker.engine.conftest import bright
    from tests.worker.engine.test_recovery import Hungry
    from tests.worker.engine.test_recovery import run as train

    plain = Hungry(0, "")
    train(plain, bright())
    finished, furthest = 0, 0.0
    for call in range(1, 21):
        hungry = Hungry(call, "forward" if call % 2 else "backward")
        train(hungry, bright())
        finished += hungry.failed == 1
        for one, other in zip(plain.parameters(), hungry.parameters(), strict=True):
            furthest = max(furthest, float((one - other).detach().abs().max()))
    report.at_least("19: runs that finish after memory ran out", finished, "of 20", 20, "20 of 20")
    report.at_most("19: furthest weight from an untouched run", furthest, "", 1e-6, "≤ 1e-6")
    assert torch.isfinite(torch.tensor(furthest))


def _until_end(host: EngineHost, home: Path) -> None:
    assert _killed(host, home, "train", 600), "it takes longer than ten minutes"


def _killed(host: EngineHost, home: Path, what: str, after_s: float) -> bool:
    """Run a child of `benchmarks.killed` and SIGKILL it after so many seconds of work. True: it had
    ended by itself before."""
    home.mkdir(exist_ok=True)
    (home / "what").write_text(what)
    log = home / f"log-{new_id('req')}"
    with host.spawn(home, "job", log_path=log, entry="benchmarks.killed:work") as child:
        # Silent, it had nothing left to do, or failed.
        begins = child.channel.receive(120) is not None
        status = child.wait(after_s if begins else 30)
        if status is None:
            os.kill(child.pid, signal.SIGKILL)
            status = child.wait(30)
    if status is None or (not status.ok and status.signal != signal.SIGKILL):
        raise RuntimeError(log.read_text())
    return status.ok
