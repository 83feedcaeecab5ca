"""Run folders of the jobs of a sweep: written before the job starts, by whoever conducts it."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from loomlab.catalog.options import Catalog
from loomlab.catalog.search import all_conf_dirs
from loomlab.compose.gate import check_jobs
from loomlab.errors import InputError
from loomlab.quoting import override
from loomlab.run.folder import HYDRA, write_atomically
from loomlab.run.ledger import Job, Ledger
from loomlab.run.moving_in import clear
from loomlab.run.prepared import begun, prepare_folder
from loomlab.secrets import MASK, masked, masked_override
from loomlab.sweep.job import whole


class Folders:
    """Prepares the folder of a job, so that any process can run it without composing again."""

    def __init__(
        self, ledger: Ledger, flags: Sequence[str], configs: dict[str, DictConfig],
        secrets: dict[str, list[str]],
    ) -> None:  # fmt: skip
        """`configs` are those of checked jobs by key; `secrets`, overrides not written down."""
        self.ledger = ledger
        self.flags = list(flags)
        self.configs = configs
        self.secrets = secrets
        self.loader: ConfigLoader | None = None

    def prepare(self, job: Job) -> None:
        """Write the folder; that of a job which has saved a state stays as it is.

        Raises:
            InputError: a secret is missing, the job is refused by now, or another process runs it.
        """
        folder = self.ledger.folder / job.folder
        goes_on = begun(folder)
        if goes_on and (folder / HYDRA).is_file():
            return
        config = self.configs.get(job.key) or self._composed(job)
        config.paths.output_dir = str(folder)
        given = [*job.overrides, override("paths.output_dir", folder)]
        if not goes_on:
            clear(folder)
            prepare_folder(config, given, all_conf_dirs(self.flags)[1:])
        write_atomically(folder / HYDRA, hydra_record(config))

    def _composed(self, job: Job) -> DictConfig:
        """The config of a job that an earlier command planned."""
        assert self.loader is not None, "is called inside composing"
        overrides = whole(job.overrides, self.secrets.get(job.key, ()))
        catalog = Catalog(all_conf_dirs(self.flags))
        return check_jobs([overrides], self.loader, catalog).only()


def hydra_record(config: DictConfig) -> str:
    """Hydra's node of a job as YAML, without secrets.

    Raises:
        InputError: it would set a secret in the environment of the job.
    """
    node = OmegaConf.to_container(config.hydra, resolve=False)
    assert isinstance(node, dict)
    task = [masked_override(o) for o in config.hydra.overrides.task]
    node["overrides"] = {"hydra": [], "task": task}
    node["job"]["override_dirname"] = ",".join(task)
    plain = masked(node)
    for name, value in plain["job"]["env_set"].items():
        if value == MASK:
            raise InputError(f"hydra.job.env_set.{name} is a secret: export {name} instead")
    return OmegaConf.to_yaml(OmegaConf.create(plain))
