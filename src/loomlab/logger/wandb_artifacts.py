"""Where a model comes from, in W&B's graph: corpus -> run -> model and checkpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wandb import Artifact

CHECKPOINTS = {"best": "best.ckpt", "last": "last.ckpt"}


def corpus_artifact(corpus: Mapping[str, Any]) -> Artifact:
    """The corpus by its identity: the same text and tokenizer are the same version, in any run.

    It holds a reference and counts, not the text, which may be large or not for everybody.
    """
    import wandb

    artifact = wandb.Artifact(_name("corpus", corpus["name"]), "corpus", metadata=dict(corpus))
    uri = f"loomlab://corpus/{corpus['fingerprint']}/{corpus['tokens_sha256']}"
    artifact.add_reference(uri, name="corpus", checksum=False)
    return artifact


def results(run_dir: Path, kind: str, run_id: str, told: Mapping[str, Any]) -> list[Any]:
    """(artifact, aliases) of what a finished run leaves, as far as it is there.

    `kind` says what is uploaded: "references" nothing, "model" the model, "checkpoints" both.
    """
    import wandb

    found: list[Any] = []
    if (run_dir / "model").is_dir():
        model = wandb.Artifact(_name("model", run_id), "model", metadata=dict(told))
        if kind == "references":
            model.add_reference((run_dir / "model").resolve().as_uri())
        else:
            model.add_dir(str(run_dir / "model"), policy="immutable")
        found.append((model, ["best"]))
    for alias, file in CHECKPOINTS.items():
        path = run_dir / "checkpoints" / file
        if not path.is_file():
            continue
        name = _name("checkpoint", run_id)
        checkpoint = wandb.Artifact(name, "checkpoint", metadata={**told, "state": alias})
        if kind == "checkpoints":
            checkpoint.add_file(str(path), name="state.ckpt", policy="immutable")
        else:
            checkpoint.add_reference(path.resolve().as_uri(), name="state.ckpt")
        found.append((checkpoint, [alias]))
    return found


def _name(kind: str, of: str) -> str:
    """A name with the characters that W&B takes."""
    return re.sub(r"[^\w.-]", "_", f"{kind}-{of}")
