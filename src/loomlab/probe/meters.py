"""Counters of energy: processors through RAPL, GPUs through NVML."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any


@dataclass
class Counter:
    """A counter that only grows, until it goes round."""

    name: str
    read: Callable[[], float]  # joules
    wrap: float = 0.0  # joules at which it starts from 0 again; 0 if it never does
    last: float = field(init=False)

    def __post_init__(self) -> None:
        self.last = self.read()

    def joules(self) -> float:
        """Joules since the last call."""
        now = self.read()
        grown = now - self.last
        self.last = now
        return grown + self.wrap if grown < 0 else grown


class Meters:
    """All counters of a machine together."""

    def __init__(self, counters: list[Counter]) -> None:
        self.counters = counters

    def joules(self) -> float:
        """Joules since the last call."""
        return sum(counter.joules() for counter in self.counters)

    def names(self) -> list[str]:
        """What is measured."""
        return [counter.name for counter in self.counters]


def open_meters(powercap: Path, nvml: bool) -> tuple[Meters | None, str]:
    """The meters of this machine, or None and the reasons why there is none."""
    counters, reasons = processor_counters(powercap)
    if nvml:
        more, why = gpu_counters()
        counters += more
        reasons += why
    return (Meters(counters) if counters else None), "; ".join(reasons)


def processor_counters(powercap: Path) -> tuple[list[Counter], list[str]]:
    """One counter per processor package: `intel-rapl:N` (AMD's have that name as well).

    `intel-rapl:N:M` are parts of a package and a zone named psys holds the packages, so neither
    is added.
    """
    if not powercap.is_dir():
        return [], [f"{powercap} does not exist (no RAPL, or a virtual machine)"]
    counters: list[Counter] = []
    reasons: list[str] = []
    for zone in sorted(powercap.glob("intel-rapl:*")):
        if zone.name.count(":") != 1 or not (zone / "energy_uj").exists():
            continue
        try:
            name = (zone / "name").read_text().strip()
            if name == "psys":
                continue
            wrap = _micro(zone / "max_energy_range_uj")
            counters.append(Counter(f"{name} ({zone.name})", _reader(zone / "energy_uj"), wrap))
        except PermissionError:
            reasons.append(f"{zone / 'energy_uj'} may be read by root alone")
        except (OSError, ValueError) as error:
            reasons.append(f"{zone} cannot be read: {error}")
    if not counters and not reasons:
        reasons.append(f"{powercap} has no intel-rapl package")
    return counters, reasons


def _reader(path: Path) -> Callable[[], float]:
    return lambda: _micro(path)


def _micro(path: Path) -> float:
    return int(path.read_text()) / 1e6


def gpu_counters() -> tuple[list[Counter], list[str]]:
    """One counter per NVIDIA GPU that counts its energy."""
    if find_spec("pynvml") is None:
        return [], ["pynvml is not installed (for NVIDIA GPUs)"]
    import pynvml

    counters: list[Counter] = []
    try:
        pynvml.nvmlInit()
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            counters.append(Counter(f"GPU {index}", _gpu_reader(pynvml, handle)))
    except pynvml.NVMLError as error:
        return counters, [f"NVML: {error}"]
    return counters, []


def _gpu_reader(nvml: Any, handle: Any) -> Callable[[], float]:
    return lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3  # from millijoules
