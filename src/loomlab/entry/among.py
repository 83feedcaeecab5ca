"""`loom train` under torchrun or srun: every process has the same command line, one run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from loomlab.entry.resume import value_of
from loomlab.errors import InputError
from loomlab.parallelism.place import Place
from loomlab.quoting import override

Train = Callable[[list[str], list[str]], None]
SIZES = ("parallelism.devices", "parallelism.num_nodes")


def train_among(place: Place | None, argv: list[str], overrides: list[str], train: Train) -> int:
    """Lead the run as its first process, or join it without a word; the exit code."""
    if place is None:
        train(argv, overrides)
        return 0
    from loomlab.parallelism.meeting import Board

    board = Board(place)
    if place.rank:
        found = board.wait()
        if isinstance(found, int):
            return found
        from loomlab.run.worker import main

        return main(str(found))
    code = 1
    try:
        flags = [a for a in argv if a not in overrides]
        overrides = with_sizes(place, resumed(place, board.home(), overrides))
        train([*flags, *overrides], overrides)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
        raise
    except InputError:
        code = 2
        raise
    finally:
        board.dismiss(code)
    return code


def resumed(place: Place, home: Path | None, overrides: list[str]) -> list[str]:
    """The overrides of a further attempt: the run goes on in its folder, from its last state."""
    if home is None:
        if place.attempt == 0:
            return overrides
        # Slurm has queued the job again, and nothing remembers the folder
        named = [value_of(o) for o in overrides if o.startswith("paths.output_dir=")]
        if not named:
            return overrides
        home = Path(named[-1])
    kept = [o for o in overrides if not o.startswith(("paths.output_dir=", "resume="))]
    if (home / "config.yaml").is_file() and any((home / "checkpoints").glob("*.ckpt")):
        return [override("resume", home)]
    return [*kept, override("paths.output_dir", home), "overwrite=true"]


def with_sizes(place: Place, overrides: list[str]) -> list[str]:
    """Overrides that name the processes there are.

    Raises:
        InputError: the command asks for others, or for a single one.
    """
    given = dict(o.lstrip("+").partition("=")[::2] for o in overrides)
    if "resume" not in given and given.get("parallelism", "single") == "single":
        if place.world_size == 1:
            return overrides
        raise InputError(
            f"{place.starter} has started {place.world_size} processes, and parallelism=single is "
            "one: add parallelism=ddp, or start one process"
        )
    sizes = dict(zip(SIZES, map(str, (place.devices, place.nodes)), strict=True))
    for key, size in sizes.items():
        if given.get(key, size) != size:
            raise InputError(
                f"{key}={given[key]}: {place.starter} has started {size}; leave {key} out"
            )
    return [*(o for o in overrides if o.partition("=")[0] not in SIZES),
            *(f"{key}={size}" for key, size in sizes.items())]  # fmt: skip


def refuse_sweep(place: Place | None) -> None:
    """A sweep starts the processes of its jobs itself.

    Raises:
        InputError: in the first process; the others leave without a word.
    """
    if place is None:
        return
    if place.rank:
        raise SystemExit(2)
    raise InputError(
        f"-m: a sweep starts the processes of its jobs itself; leave {place.starter} out, or "
        "choose launch=slurm"
    )
