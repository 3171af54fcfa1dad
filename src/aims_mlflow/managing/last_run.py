"""What the last assessed run shows by itself, where no version of a declared system serves yet."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from aims_mlflow.api import load_assessment
from aims_mlflow.assessment import Overall, Status
from aims_mlflow.errors import AimsError
from aims_mlflow.filing import EXPERIMENT
from aims_mlflow.management.gap import LastRun

_log = logging.getLogger("aims_mlflow")

_PAGE = 200
"""Experiments that are searched at once: their ids stand in one statement of SQL."""


def last_run(client: Any, at: datetime) -> LastRun | None:
    """The rows that the run last started of those that were assessed satisfies; None where there is no such run.

    Args:
        client: Of MLflow.
        at: Now: what lapsed since the run was assessed is left out.

    Raises:
        DeliveryError: MLflow cannot be reached.
    """
    run = _latest(client)
    if run is None:
        return None
    try:
        found = load_assessment(str(run.info.run_id), tracking_uri=str(client.tracking_uri))
    except AimsError as error:  # its tag says it was assessed; whoever asks for the run itself is told what is wrong
        _log.debug("aims: the assessment of run %s could not be read: %s", run.info.run_id, error.message)
        return None
    rows = {
        f.id: f.title
        for f in found.findings
        if f.status is Status.SATISFIED and (f.valid_until is None or f.valid_until >= at)
    }
    return LastRun(run_id=str(run.info.run_id), assessed_at=found.assessed_at, rows=rows)


def _latest(client: Any) -> Any | None:
    latest: Any | None = None
    asked = f"tags.`aims.status` != '{Overall.NOT_ASSESSED}'"
    token: str | None = None
    while True:
        page = client.search_experiments(max_results=_PAGE, page_token=token)
        ids = [one.experiment_id for one in page if one.name != EXPERIMENT]
        if ids:
            newest = client.search_runs(ids, asked, max_results=1, order_by=["attributes.start_time DESC"])
            for run in newest:
                if latest is None or (run.info.start_time or 0) > (latest.info.start_time or 0):
                    latest = run
        token = page.token
        if not token:
            return latest
