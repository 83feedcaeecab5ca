"""From the command line of `loom plan` to a checked config and the hardware it is planned for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from loomlab.allow import authorize
from loomlab.catalog.axes import all_options, option_content, option_target
from loomlab.catalog.problem import report
from loomlab.catalog.search import all_conf_dirs
from loomlab.catalog.source import read_target
from loomlab.compose.composer import composing
from loomlab.compose.gate import check_jobs
from loomlab.compose.option_checks import bad_values, unknown_keys
from loomlab.errors import InputError, did_you_mean
from loomlab.hardware.base import Hardware
from loomlab.parallelism.base import Parallelism
from loomlab.run.constructor import constructor

GROUP = "hardware"


@dataclass
class Planned:
    """A run, and what it is to run on; `notes` tell what was filled in."""

    overrides: list[str]
    config: DictConfig
    hardware: Hardware
    notes: list[str]

    @property
    def parallelism(self) -> Parallelism:
        """How the run is spread."""
        option: Parallelism = constructor(self.config.parallelism)()
        return option


def planned(arguments: list[str], catalog: Any) -> Planned:
    """Compose and check what `loom train` would be given, and the hardware beside it.

    Raises:
        InputError: whatever `loom train` would refuse, or hardware that does not fit the run.
    """
    own = [a for a in arguments if a.startswith((f"{GROUP}=", f"{GROUP}."))]
    overrides = [a for a in arguments if a not in own]
    hardware = hardware_of(own)
    if not any(o.startswith("logger=") for o in overrides):
        overrides.append("logger=none")  # a plan logs nowhere
    notes: list[str] = []
    with composing() as loader:
        for fill in (_count, _batch):
            config = check_jobs([overrides], loader, catalog).configs.get(0)
            if config is not None:
                filled = fill(config, overrides, hardware)
                overrides, notes = [*overrides, *filled], [*notes, *filled]
        checked = check_jobs([overrides], loader, catalog)
    return Planned(overrides, checked.only(), hardware, notes)


def hardware_of(arguments: list[str]) -> Hardware:
    """The option that `hardware=NAME` names, with settings `hardware.KEY=VALUE`.

    Raises:
        InputError: there is no such option or setting, or a value is out of range.
    """
    folders = tuple(all_conf_dirs())
    given = dict(a.partition("=")[::2] for a in arguments)
    name = given.pop(GROUP, "this_machine")
    known = all_options(list(folders)).get(GROUP, [])
    if name not in known:
        raise InputError(f"hardware={name}: there is none; {did_you_mean(name, known)}")
    target = option_target(folders, GROUP, name)
    content = {k: v for k, v in option_content(folders, GROUP, name).items() if k != "defaults"}
    settings = {k.removeprefix(f"{GROUP}."): yaml.safe_load(v) for k, v in given.items()}
    node = OmegaConf.create({**content, "_target_": target, **settings})
    source = read_target(target)
    problems = [*unknown_keys(GROUP, node, source), *bad_values(GROUP, node, source)]
    if problems:
        raise InputError(report(problems, "This cannot be planned:"))
    plain = OmegaConf.to_container(node)
    authorize(plain)
    made: Hardware = instantiate(plain)
    return made


def _count(config: DictConfig, overrides: list[str], hardware: Hardware) -> list[str]:
    """The processes that `hardware.count` asks for, where the run does not say how many."""
    count, settings = hardware.count, config.parallelism
    if count is None:
        return []
    world = int(settings.get("devices", 1)) * int(settings.get("num_nodes", 1))
    keys = ("parallelism.devices=", "parallelism.num_nodes=")
    if count == world:
        return []
    if "devices" not in settings or any(o.startswith(keys) for o in overrides):
        fix = "leave one of them out" if "devices" in settings else "give parallelism=ddp or fsdp2"
        raise InputError(f"hardware.count={count}, but the run has {world} processes: {fix}")
    devices = min(count, hardware.devices_per_node) if "num_nodes" in settings else count
    if count % devices:
        raise InputError(
            f"hardware.count={count} is not a multiple of hardware.devices_per_node={devices}; "
            f"give {count // devices * devices} or {(count // devices + 1) * devices}"
        )
    nodes = [f"parallelism.num_nodes={count // devices}"] if "num_nodes" in settings else []
    return [f"parallelism.devices={devices}", *nodes]


def _batch(config: DictConfig, overrides: list[str], hardware: Hardware) -> list[str]:
    """The smallest batch that can be shared out, where the command line does not give one."""
    if any(o.startswith("global_batch_size=") for o in overrides):
        return []
    option: Parallelism = constructor(config.parallelism)()
    parts = option.shares * option.micro_batches * (config.micro_batch_size or 1)
    parts *= config.trainer.accumulate_grad_batches or 1
    if config.global_batch_size % parts == 0:
        return []
    rows = -(-int(config.global_batch_size) // parts) * parts
    return [f"global_batch_size={rows}"]
