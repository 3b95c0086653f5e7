"""Counters of energy, of a folder that looks like Linux's and of a library that looks like NVML."""

from pathlib import Path

import pytest

from worker.engine.measure.energy import nvml_counter, rapl


def zone(root: Path, number: str, name: str, energy_uj: int, most_uj: int = 1_000_000) -> Path:
    folder = root / f"intel-rapl:{number}"
    folder.mkdir()
    (folder / "name").write_text(f"{name}\n")
    (folder / "max_energy_range_uj").write_text(f"{most_uj}\n")
    (folder / "energy_uj").write_text(f"{energy_uj}\n")
    return folder


def test_packages_add_up_and_a_counter_may_go_round(tmp_path: Path) -> None:
    first, second = (
        zone(tmp_path, "0", "package-0", 5_000),
        zone(tmp_path, "1", "package-1", 900_000),
    )
    zone(tmp_path, "0:0", "core", 1)
    zone(tmp_path, "2", "psys", 1)
    counter = rapl(tmp_path)
    assert counter is not None
    before = counter.read()
    (first / "energy_uj").write_text("7000\n")
    (second / "energy_uj").write_text("100000\n")
    # 2 mJ, and from 900 mJ over the edge at 1000 mJ to 100 mJ
    assert counter.between(before, counter.read()) == pytest.approx(2 + 200)
    assert counter.source == "rapl"


def test_a_machine_that_does_not_tell_has_no_counter(tmp_path: Path) -> None:
    assert rapl(tmp_path) is None
    (zone(tmp_path, "0", "package-0", 1) / "energy_uj").unlink()
    assert rapl(tmp_path) is None


class Nvml:
    """A GPU that has used 10 mJ more at every question."""

    class NVMLError(Exception):
        """As pynvml has it."""

    def __init__(self, *, counts: bool = True) -> None:
        self.counts, self.used = counts, 0

    def nvmlInit(self) -> None: ...

    def nvmlDeviceGetHandleByUUID(self, name: str) -> str:
        return name

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:
        if not self.counts:
            raise self.NVMLError
        self.used += 10
        return self.used


def test_a_gpu_counts_millijoules() -> None:
    counter = nvml_counter(Nvml(), "GPU-1")
    assert counter is not None
    assert counter.between(counter.read(), counter.read()) == 10
    assert counter.source == "nvml"


def test_a_gpu_that_does_not_count_has_no_counter() -> None:
    assert nvml_counter(Nvml(counts=False), "GPU-1") is None
