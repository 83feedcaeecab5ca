"""`resume=RUN_DIR` needs no other override: the run's own are put in front."""

from __future__ import annotations

from loomlab.errors import InputError


def with_recorded_overrides(overrides: list[str]) -> list[str]:
    """Overrides completed by those of the run that is resumed, in its own folder.

    Raises:
        InputError: the folder is no run folder.
    """
    named = [o for o in overrides if o.startswith("resume=")]
    if not named or named[-1] in ("resume=null", "resume="):
        return overrides
    from loomlab.run.folder import RunFolder

    path = named[-1].partition("=")[2].strip("'\"")
    folder = RunFolder(path)
    if not (folder.path / "config.yaml").is_file():
        raise InputError(
            f"resume={path}: no run folder is there (it would have a config.yaml); give the "
            "folder that `loom train` printed"
        )
    recorded = [
        o for o in folder.overrides() if not o.startswith(("resume=", "paths.output_dir="))
    ]
    return [*recorded, *overrides, f"paths.output_dir='{folder.path}'"]
