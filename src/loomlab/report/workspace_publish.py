"""Sending a sweep's views to W&B, and bringing those that are there up to date."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

from loomlab.errors import InputError, first_line
from loomlab.reach import answers
from loomlab.report.workspace import Subject, report, workspace
from loomlab.run.ledger import Ledger

PUBLISHED = "dashboard"  # in the ledger's definition: what was published, by place


def publish(of: Subject, folder: Path, new: bool = False) -> dict[str, str]:
    """Save workspace and report; their addresses.

    Raises:
        InputError: there is no key, no server, or the server refuses.
    """
    os.environ["WANDB_SILENT"] = "true"  # its own lines say the same again
    api = _api()
    from wandb.errors import Error
    from wandb.sdk.lib.service.service_connection import WandbApiFailedError

    try:
        of = dataclasses.replace(of, entity=of.entity or api.default_entity or "")
        if not of.entity:
            raise InputError("the key has no default entity: give --entity, a user or a team")
        return _save(of, Ledger(folder), new)
    except (Error, WandbApiFailedError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"W&B did not take the views of {of.entity}/{of.project}: {first_line(error)}; see "
            "that the key may write there, or give --entity, --project or --new"
        ) from error


def _api() -> Any:
    import wandb

    from loomlab.logger.wandb_settings import has_key, server_url

    if not has_key():
        raise InputError(
            "publishing needs a key of W&B: run `wandb login` or set WANDB_API_KEY; `loom "
            "dashboard publish SWEEP --print` and `loom report SWEEP` need none"
        )
    if not answers(server_url()):
        raise InputError(f"{server_url()} cannot be reached: try again, or use `loom report`")
    return wandb.Api()


def _save(of: Subject, ledger: Ledger, new: bool) -> dict[str, str]:
    """Report first, as it makes the project where there is none; each is remembered at once."""
    place = f"{of.entity}/{of.project}"
    known = ledger.definition().get(PUBLISHED, {})
    made: dict[str, list[str]] = {} if new else dict(known.get(place, {}))
    view, page = workspace(of), report(of)
    (page.id,) = made.get("report", [""])
    view._internal_id, view._internal_name = made.get("workspace", ["", ""])
    page.save()
    made["report"] = [page.id]
    ledger.define({PUBLISHED: {**known, place: made}})
    view.save()
    made["workspace"] = [view._internal_id, view._internal_name]
    ledger.define({PUBLISHED: {**known, place: made}})
    return {"workspace": str(view.url), "report": str(page.url)}
