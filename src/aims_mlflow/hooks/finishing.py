"""The end of a run: what was seen of it becomes evidence."""

from __future__ import annotations

import logging
from typing import Any

from aims_mlflow.config import Settings, load_settings
from aims_mlflow.errors import ConfigError
from aims_mlflow.hooks.state import Options, State

_log = logging.getLogger("aims_mlflow")


def settings_of(options: Options) -> Settings:
    """The declaration given to ``autolog``, else the one found now."""
    return options.config if isinstance(options.config, Settings) else load_settings(None)


def finish_run(state: State, client: Any, run_id: str, status: str, *, unreachable: Exception | None) -> None:
    """Turn what was seen of a run into evidence and deliver it."""
    from aims_mlflow.attach.store import RunStore, check_reachable
    from aims_mlflow.capture.collect import Seen, Wanted, capture_error, collect
    from aims_mlflow.capture.run import RunFacts
    from aims_mlflow.delivery import deliver
    from aims_mlflow.evidence import RunRef, Subject, now

    options = state.options or Options()
    at = now()
    run = state.of(run_id)
    errors = list(run.errors)
    try:
        settings = settings_of(options)
    except ConfigError as error:
        state.say("aims: aims.yaml is wrong, nothing of it is used: %s", "; ".join(error.problems[:3]) or str(error))
        settings = Settings()
        errors.append(
            capture_error("declaration", "reading aims.yaml", error, subject=Subject(run=RunRef(run_id=run_id)), at=at)
        )
    facts = None
    if unreachable is None:
        try:
            check_reachable(str(getattr(client, "tracking_uri", "")))
            facts = RunStore(client, run_id).facts()
        except Exception as error:  # noqa: BLE001  (the server went away: what was seen is spooled)
            unreachable = error
    if facts is not None and not run.datasets and not run.models and run.finished_as == facts.content_sha256:
        return
    seen = Seen(
        datasets=list(run.datasets),
        models=list(run.models),
        errors=errors,
        status=status,
        exception=run.exception,
    )
    known = facts or RunFacts(run_id=run_id, experiment_id="", status=status)
    records = collect(
        known, seen, settings, at=at, wanted=Wanted(options.data_quality, options.drift), children=run.children
    )
    with state.lock:
        run.datasets, run.models, run.errors = [], [], []
        run.finished_as = facts.content_sha256 if facts else None
        _forget_old(state)
    delivery = deliver(client, run_id, records, settings, assess=options.assess, facts=facts)
    if delivery.spooled is None:
        _say_result(options, delivery, settings)
        _deliver_spooled(state, client)


def _forget_old(state: State, keep: int = 512) -> None:
    """Runs ended long ago need no state."""
    while len(state.runs) > keep:
        ended = next((k for k, r in state.runs.items() if r.finished_as is not None), None)
        if ended is None:
            return
        del state.runs[ended]


def _say_result(options: Options, delivery: Any, settings: Settings) -> None:
    if options.silent:
        return
    if delivery.assessment is None:
        if not options.assess:
            tell("aims: run %s: evidence written, not assessed; `aims assess %s`", delivery.run_id, delivery.run_id)
        return
    judged = delivery.assessment
    tell(
        "aims: run %s: %s, %s; report: artifact aims/report.html, or `aims report %s`%s",
        delivery.run_id,
        judged.overall.upper(),
        judged.in_short,
        delivery.run_id,
        "" if settings.path or options.config else "; no aims.yaml was found, `aims init` writes one",
    )


def tell(message: str, *args: object) -> None:
    """One line for the data scientist, at level INFO.

    Where the user's own logging shows our INFO lines, it goes there. Else it goes to the handlers of MLflow's logger,
    so that a plain script shows it as it shows MLflow's own lines, and hides it where it hides those.
    """
    if _log.isEnabledFor(logging.INFO) and _log.hasHandlers():
        _log.info(message, *args)
        return
    mlflow = logging.getLogger("mlflow")
    if _log.level > logging.INFO or not mlflow.isEnabledFor(logging.INFO):
        return
    record = _log.makeRecord(_log.name, logging.INFO, __file__, 0, message, args, None)
    for handler in mlflow.handlers if _log.filter(record) else ():
        if handler.level <= logging.INFO:
            handler.handle(record)


def _deliver_spooled(state: State, client: Any) -> None:
    """What an earlier run could not deliver goes now that its server is there; what is refused waits for ``flush``."""
    from aims_mlflow.attach.spool import spooled_files
    from aims_mlflow.delivery import flush

    if not {str(p) for p in spooled_files()} - state.refused_spool:
        return
    result = flush(tracking_uri=str(getattr(client, "tracking_uri", "")), skip=state.refused_spool)
    state.refused_spool.update(result.kept)
    if result.delivered:
        _log.info("aims: delivered the spooled evidence of %d runs", len(result.delivered))
