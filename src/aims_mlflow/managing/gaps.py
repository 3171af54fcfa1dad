"""The gap to the standard, now or at an earlier date, and as a record that later ones are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from aims_mlflow.api.policies import Config
from aims_mlflow.config import load_settings
from aims_mlflow.delivery import catalog_of
from aims_mlflow.errors import AimsError, InputError
from aims_mlflow.evidence import now
from aims_mlflow.management.gap import TARGET, GapAssessment, SystemGap, Trend, assess_gap, trend_of
from aims_mlflow.management.gaps import GapContent
from aims_mlflow.management.state import Filed, State
from aims_mlflow.management.types import content_of
from aims_mlflow.managing.last_run import last_run
from aims_mlflow.managing.portfolio import is_nothing_there, portfolio, portfolio_of
from aims_mlflow.managing.records import ManagementRecords
from aims_mlflow.managing.registered import Registered

_NO_RECORDS = (
    "No records are kept here: in a folder of files anybody could change them. "
    "Use sqlite:///FILE or a server with a database as tracking store."
)


@dataclass(frozen=True)
class GapView:
    """What was asked for: the gap of all systems, the part of it that is shown, and how it changed."""

    assessment: GapAssessment
    shown: SystemGap
    trend: Trend | None = None


def gap(
    *,
    system: str | None = None,
    as_of: datetime | None = None,
    since: datetime | None = None,
    target: int = TARGET,
    config: Config = None,
    tracking_uri: str | None = None,
) -> GapView:
    """How far each clause and control is from where it should be, high-risk systems first.

    It needs neither run nor model: on an empty MLflow every row says what is missing, and nothing is made there. Where
    no version of a declared system serves, it says what the last assessed run satisfies by itself.

    Args:
        system: Show one system; None shows the organization, where each row is the worst over its systems.
        as_of: What was known and true then; now where None.
        since: Also compare with that earlier date: with the gap assessment on file of that day or the last one before
            it, else with what the records of then come to.
        target: The level rows should have; high-risk systems are asked for 4 where measured evidence can show it.
        config: ``aims.yaml``, by path, or a declaration; found as ``autolog`` finds it where None.
        tracking_uri: The MLflow server or database; MLflow's own setting where None.

    Raises:
        InputError: there is no such system, the target is not 1 to 4, or ``since`` is not before the moment asked for.
        ConfigError: ``aims.yaml`` is wrong.
        DeliveryError: MLflow cannot be reached.
    """
    at = as_of or now()
    if since is not None and since >= at:
        raise InputError(
            f"{since:%Y-%m-%d} is not before the moment asked for", where="since", remedy="Give an earlier date."
        )
    if is_nothing_there(tracking_uri):
        return _of_nothing(config, at, since, system, target)
    records = ManagementRecords(config=config, tracking_uri=tracking_uri)
    moments = (at,) if since is None else (at, since)
    keeps = records.store.can_hold_records
    states = records.store.states(*moments) if keeps else tuple(State(at=moment) for moment in moments)
    assessment = _assessed(records, states[0], target, past=as_of is not None)
    if not keeps:
        assessment = assessment.model_copy(update={"problems": (*assessment.problems, _NO_RECORDS)})
    if as_of is None and not assessment.whole.versions:
        assessment = assessment.model_copy(update={"last_run": last_run(records.client, at)})
    shown = assessment.of(system)
    trend = None if since is None else _trend(records, shown, states[0], states[1], target)
    return GapView(assessment, shown, trend)


def record_gap(
    assessment: GapAssessment,
    *,
    owner: str,
    approver: str | None = None,
    config: Config = None,
    tracking_uri: str | None = None,
) -> Filed:
    """File a gap assessment of now (record type ``gap``); the next one of a later day is evidence of a trend (10.1).

    One a day: filed again on the same day it is the next revision.

    Raises:
        InputError: it is of another day, or the owner is no single owner.
        DeliveryError: MLflow cannot be reached.
    """
    today = now()
    if assessment.at.date() != today.date():
        raise InputError(
            f"the gap of {assessment.at:%Y-%m-%d} cannot be filed today",
            where="as_of",
            remedy="File the gap of today: what was not filed then was not known then.",
        )
    records = ManagementRecords(config=config, tracking_uri=tracking_uri)
    return records.file("gap", assessment.content(), owner=owner, approver=approver, id=f"gap-{assessment.at:%Y-%m-%d}")


def _of_nothing(config: Config, at: datetime, since: datetime | None, system: str | None, target: int) -> GapView:
    settings = load_settings(config)
    catalog = catalog_of(settings)
    assessment = assess_gap(portfolio_of(State(at=at), Registered(), settings, catalog), catalog, target=target)
    shown = assessment.of(system)
    trend = None
    if since is not None:
        trend = trend_of(shown, shown, since=since, source="an MLflow with nothing in it, then as now")
    return GapView(assessment, shown, trend)


def _assessed(records: ManagementRecords, state: State, target: int, *, past: bool) -> GapAssessment:
    return assess_gap(portfolio(records, state, past=past), records.catalog, target=target)


def _trend(records: ManagementRecords, shown: SystemGap, state: State, before: State, target: int) -> Trend:
    since = before.at
    if shown.is_whole:
        on_file = _on_file(records, state, since)
        if on_file is not None:
            one, content = on_file
            source = f"the gap assessment on file ({one.record.link})"
            return trend_of(shown, content, since=content.assessed_at, source=source)
    then = _assessed(records, before, target, past=True)
    source = "what the records and assessments of then come to"
    try:
        known = then.of(shown.system)
    except InputError:  # it was not declared yet: the organization stood for it
        known = then.whole
        source += f"; the system {shown.system} was not declared yet, and the organization stands for it"
    return trend_of(shown, known, since=since, source=source)


def _on_file(records: ManagementRecords, state: State, since: datetime) -> tuple[Filed, GapContent] | None:
    """The last gap assessment of the organization that was made by then."""
    found: list[tuple[Filed, GapContent]] = []
    for one in state.about("gap", None):
        try:
            content = content_of(one.record, records.catalog)
        except AimsError:  # one that cannot be read is no comparison; `aims records verify` names it
            continue
        if isinstance(content, GapContent) and content.assessed_at <= since:
            found.append((one, content))
    return max(found, key=lambda pair: pair[1].assessed_at, default=None)
