"""What can be wrong with a distillation, found from settings and files alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from loomlab.compression.teacher_folder import GIVE, TeacherFolder

SELF = "self"
CUTTING = {f"loomlab.parallelism.{name}" for name in ("fsdp2", "fsdp2_tp", "tp")}


def problems(settings: Mapping[str, Any], config: Mapping[str, Any], head: str) -> list[str]:
    """A teacher that is not there, does another thing, or reads other tokens."""
    teacher = settings["teacher"]
    if teacher is None:
        return [f"teacher: has no value; {GIVE}, or 'self' for the model the run starts with"]
    folder = [] if teacher == SELF else [*_of_folder(Path(str(teacher)), config, head)]
    if settings["cache"] is not None and (config.get("objective") or {}).get("multi_label"):
        folder.append(
            "cache: several labels may hold at once, so all are needed, not the likeliest; "
            "leave it out"
        )
    return [*folder, *_of_start(settings, config), *_of_inner(settings, config)]


def _of_start(settings: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[str]:
    if settings["start"] == "teacher" and config.get("init"):
        yield f"start: the weights come from the teacher or from init={config['init']}, not both"


def _of_inner(settings: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[str]:
    if settings["inner"] == "none":
        return
    if settings["cache"] is not None:
        yield (
            f"cache: what is kept are answers, and inner={settings['inner']} compares inner "
            "states, for which the teacher must run; leave one of them out"
        )
    chosen = (config.get("parallelism") or {}).get("_target_", "")
    if chosen.rpartition(".")[0] in CUTTING:
        yield (
            f"inner={settings['inner']}: inner states are of whole blocks, and with this "
            "parallelism a process holds a part of each; take parallelism=ddp, or inner=none"
        )
    if (config.get("compile") or {}).get("_target_", "").startswith("loomlab.compile.default."):
        yield (
            f"inner={settings['inner']}: inner states are read by hooks, which a compiled model "
            "does not call; take compile=off, or inner=none"
        )


def _of_folder(path: Path, config: Mapping[str, Any], head: str) -> Iterator[str]:
    problem = TeacherFolder(path).problem(head)
    if problem:
        yield f"teacher: {problem}"
        return
    theirs, ours = _trained_tokenizer(_record(path)), _trained_tokenizer(config)
    if theirs and ours and theirs != ours:
        yield (
            f"teacher: {path} reads tokens of another tokenizer ({_words(theirs, ours)}; this run "
            f"has {_words(ours, theirs)}), so its answers are about other tokens; use its "
            "tokenizer and corpus"
        )


def _record(path: Path) -> Mapping[str, Any]:
    """The config of a run folder; empty if it is none."""
    try:
        found = yaml.safe_load((path / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def _trained_tokenizer(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a tokenizer that loomlab trains; those of others do not tell what they are."""
    node = dict(config.get("tokenizer") or {})
    return {} if {"name", "package"} & node.keys() else node


def _words(node: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    differ = {k: v for k, v in node.items() if k not in other or other[k] != v}
    return ", ".join(f"{key}={value}" for key, value in sorted(differ.items()))
