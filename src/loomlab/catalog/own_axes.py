"""Config groups of the user's own: a folder `conf/<group>/` is an axis like any other.

What an option of one builds goes to whoever names it: to an option of `TAKERS` whose constructor
has a keyword-only parameter called like the group, and to the trainer if it is a Lightning
Callback. Its class may declare `axis_kind`, "outcome" (the default), "speed", "observe" or "run".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

from loomlab.catalog.axes import Axis, is_own
from loomlab.catalog.choices import own_choices
from loomlab.catalog.compatibility import Pick
from loomlab.catalog.problem import Problem
from loomlab.catalog.source import MISSING, ClassSource, SourceError, read_target

KIND, KINDS = "axis_kind", ("outcome", "speed", "observe", "run")
TAKERS = ("corpus", "model", "objective", "optimizer", "scheduler", "regularization",
          "compression", "callbacks", "probe")  # fmt: skip


def own_axis(name: str, source: ClassSource | None) -> Axis:
    """The axis of a group, as the class of one of its options declares it."""
    kind = str(source.attributes.get(KIND, KINDS[0])) if source else KINDS[0]
    return Axis(name, kind if kind in KINDS else KINDS[0])


def own_axes(config: DictConfig) -> list[Axis]:
    """The groups of the user's own that a config, composed or recorded, has an option of."""
    return [own_axis(name, _source(config.get(name))) for name in own_choices(config)]


def _source(node: Any) -> ClassSource | None:
    try:
        return read_target(str(node["_target_"])) if _builds(node) else None
    except SourceError:
        return None


def _builds(node: Any) -> bool:
    return isinstance(node, DictConfig) and "_target_" in node


def problems_of_own(
    config: DictConfig, own: Iterable[Axis], picks: list[Pick], options: dict[str, list[str]]
) -> Iterator[Problem]:
    """Groups whose option nobody takes, and options that lack one they need.

    `options` are those of every group there is.
    """
    takers = [pick for pick in picks if pick.axis in TAKERS]
    chosen_of = {pick.axis: pick for pick in picks}
    for group in own:
        node, pick = config.get(group.name), chosen_of.get(group.name)
        if pick is not None:
            yield from _untaken(group.name, pick, takers)
        elif isinstance(node, DictConfig) and node and not _builds(node):
            yield from _unread(group.name, config)
    for pick in takers:
        for name, parameter in pick.source.parameters.items():
            due = parameter.keyword_only and parameter.default is MISSING
            if due and is_own(name) and name in options and name not in chosen_of:
                fix = f"add +{name}={'|'.join(options[name])}"
                yield Problem(str(pick), f"needs an option of {name}", fix)


def _untaken(name: str, pick: Pick, takers: list[Pick]) -> Iterator[Problem]:
    kind = pick.source.attributes.get(KIND, KINDS[0])
    if kind not in KINDS:
        yield Problem(str(pick), f"{KIND} = {kind!r} is none of {', '.join(KINDS)}")
    named = [taker.source.parameters.get(name) for taker in takers]
    if pick.source.is_callback or any(p is not None and p.keyword_only for p in named):
        return
    what = pick.source.target.rpartition(".")[2]
    yield Problem(
        str(pick), f"nothing takes it: no chosen option has a keyword-only parameter '{name}', "
        f"and {what} is no Lightning Callback", f"leave out +{name}",
    )  # fmt: skip


def _unread(name: str, config: DictConfig) -> Iterator[Problem]:
    """Plain values are for interpolations of other settings."""
    rest = OmegaConf.to_yaml(OmegaConf.masked_copy(config, [str(k) for k in config if k != name]))
    if f"${{{name}." not in rest and f"${{{name}}}" not in rest:
        yield Problem(
            name, "its values are read by nothing: it has no _target_, and no setting refers to "
            f"${{{name}...}}", f"leave out +{name}",
        )  # fmt: skip
