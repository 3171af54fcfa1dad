"""Keep the system current: judge anew what changed, flip tags to at-risk or stale, list what falls due."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Literal

from aims_mlflow.api.policies import Config
from aims_mlflow.assessment import Overall, Status
from aims_mlflow.attach.tags import AT_RISK
from aims_mlflow.config.models import Declaration
from aims_mlflow.errors import AimsError
from aims_mlflow.evidence.base import Record, UtcTime
from aims_mlflow.gate.statement import Statement
from aims_mlflow.management.due import Due, due_items
from aims_mlflow.management.effectiveness import moments_of
from aims_mlflow.management.portfolio import Portfolio, ServedVersion
from aims_mlflow.management.state import State
from aims_mlflow.managing.portfolio import portfolio
from aims_mlflow.managing.records import ManagementRecords
from aims_mlflow.registry.standing import assess
from aims_mlflow.report import restate

_log = logging.getLogger("aims_mlflow")

STATUS_TAG = "aims.status"
WITHIN = timedelta(days=30)
"""How far ahead a lapse counts as a risk."""
_FINE = (str(Overall.PASS), str(Overall.WARN))


class VersionRefresh(Record):
    """What became of one version in service."""

    version: str
    """``name/version``."""
    system: str | None = None
    action: Literal["current", "reassessed", "at-risk", "stale", "not assessed", "could not be judged"]
    status: str
    """The tag ``aims.status`` as it is now."""
    reason: str = ""


class Refresh(Record):
    """What a refresh found and did."""

    schema_version: Literal["1"] = "1"
    at: UtcTime
    versions: tuple[VersionRefresh, ...]
    due: tuple[Due, ...]
    """What is overdue or falls due in time, earliest first."""
    problems: tuple[str, ...] = ()
    """What is wrong with records or inventory."""


def refresh_all(
    *,
    within: timedelta = WITHIN,
    reassess: bool = True,
    config: Config = None,
    tracking_uri: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Refresh:
    """Judge anew each version in service whose ground has changed, and say what falls due.

    A version is judged anew where a row has lapsed since its assessment, its open rows are to be looked at again
    (``validity.open_days`` in ``aims.yaml``), or a management record that bears on it was filed, came into force or
    ended. Where nothing changed nothing is written, so that a second refresh does nothing. What lapses in time turns
    ``aims.status`` to ``at-risk``; what has lapsed and cannot be judged anew, to ``stale``. The first line of the
    version's description follows.

    Args:
        within: How far ahead to look.
        reassess: False only flips tags.
        config: ``aims.yaml``, by path, or a declaration; for its own system. Others are judged by the declaration on
            record with their runs.
        tracking_uri: The MLflow server or database; MLflow's own setting where None.
        progress: Told the next step.

    Raises:
        DeliveryError: MLflow cannot be reached.
    """
    records = ManagementRecords(config=config, tracking_uri=tracking_uri)
    state = records.state()
    found = portfolio(records, state)
    done: list[VersionRefresh] = []
    for system in found.systems:
        worker = _Worker(records, state, system.system, within, config, tracking_uri, reassess=reassess)
        for served in system.versions:
            progress(served.uri)
            done.append(worker.refresh(served))
    if any(one.action == "reassessed" for one in done):
        state = records.state()
        found = portfolio(records, state)
    return Refresh(
        at=state.at,
        versions=tuple(done),
        due=tuple(due_items(state, records.catalog, portfolio=found, within=within)),
        problems=_problems(state, found),
    )


def _problems(state: State, found: Portfolio) -> tuple[str, ...]:
    undeclared = [f"{model} belongs to no declared system" for model in found.undeclared]
    return tuple(dict.fromkeys([*(str(p) for p in state.problems), *found.problems, *undeclared]))


class _Worker:
    """Refreshes the versions of one system."""

    def __init__(
        self,
        records: ManagementRecords,
        state: State,
        system: str | None,
        within: timedelta,
        config: Config,
        tracking_uri: str | None,
        *,
        reassess: bool,
    ) -> None:
        self.records = records
        self.state = state
        self.system = system
        self.within = within
        self.reassess = reassess
        self.tracking_uri = tracking_uri
        own = records.settings.declaration.system.id
        # Another system is judged by the declaration its run holds, never by the file that happens to be here.
        self.config: Config = config if system is None or own is None or own == system else Declaration()
        about = [one for one in state.current.values() if one.is_about(system)]
        self.moments: Sequence[datetime] = sorted(moments_of(about))

    def refresh(self, served: ServedVersion) -> VersionRefresh:
        """Judge one version anew where its ground has changed, else see to its tag."""
        statement = served.statement
        if statement is None:
            action: Literal["could not be judged", "not assessed"] = (
                "could not be judged" if served.is_broken else "not assessed"
            )
            return self._told(served, action, served.status, f"{served.problem}. {served.remedy}")
        changed = self._changed(statement) or (self._due_again(statement) if self.reassess else "")
        fresh_until = _fresh_until(statement)
        held, reassessed = served.status, False
        if changed and self.reassess:
            try:
                made = assess(f"models:/{served.uri}", config=self.config, tracking_uri=self.tracking_uri)
            except Exception as error:  # noqa: BLE001  (whatever keeps it from being judged, the others are)
                why = error.message if isinstance(error, AimsError) else type(error).__name__
                _log.debug("aims: cause", exc_info=True)
                status = self._flip(served, str(Overall.STALE))
                return self._told(served, "could not be judged", status, f"{changed}; {why}")
            fresh_until, held, reassessed = made.fresh_until, str(made.overall), True
        elif changed:
            return self._told(served, "stale", self._flip(served, str(Overall.STALE)), changed)
        return self._at_risk(served, fresh_until, held, changed, reassessed=reassessed)

    def _at_risk(
        self, served: ServedVersion, fresh_until: datetime | None, held: str, changed: str, *, reassessed: bool
    ) -> VersionRefresh:
        near = fresh_until is not None and fresh_until <= self.state.at + self.within
        if near and held in (*_FINE, AT_RISK) and fresh_until is not None:
            status = self._flip(served, AT_RISK, held=held)
            why = f"evidence lapses, or is to be looked at again, on {fresh_until:%Y-%m-%d}"
            return self._told(served, "reassessed" if reassessed else "at-risk", status, changed or why)
        return self._told(served, "reassessed" if reassessed else "current", held, changed)

    def _changed(self, statement: Statement) -> str:
        """What changed since the assessment; empty where nothing did."""
        lapsed = [
            row
            for row, said in statement.rows.items()
            if said.status is Status.SATISFIED and said.valid_until is not None and said.valid_until < self.state.at
        ]
        if lapsed:
            return f"lapsed since it was assessed: {', '.join(lapsed[:6])}{'...' if len(lapsed) > 6 else ''}"
        since = [moment for moment in self.moments if statement.assessed_at < moment <= self.state.at]
        return f"management records changed on {since[-1]:%Y-%m-%d}" if since else ""

    def _due_again(self, statement: Statement) -> str:
        """That what is open is to be looked at again; empty where it is not, or nothing is open."""
        by = statement.open_until
        return f"what is open was to be looked at again by {by:%Y-%m-%d}" if by and by < self.state.at else ""

    def _flip(self, served: ServedVersion, status: str, *, held: str | None = None) -> str:
        """Set the status where it is another one, first in the description; what the status is then.

        The tag comes last: where the description cannot be written, the next refresh finds both to be done.
        """
        if (served.status if held is None else held) != status:
            client = self.records.client
            described = client.get_model_version(served.registered_name, served.version).description or ""
            text = restate(described, status)
            if text != described:
                client.update_model_version(served.registered_name, served.version, description=text)
            client.set_model_version_tag(served.registered_name, served.version, STATUS_TAG, status)
        return status

    def _told(
        self,
        served: ServedVersion,
        action: Literal["current", "reassessed", "at-risk", "stale", "not assessed", "could not be judged"],
        status: str,
        reason: str,
    ) -> VersionRefresh:
        return VersionRefresh(version=served.uri, system=self.system, action=action, status=status, reason=reason)


def _fresh_until(statement: Statement) -> datetime | None:
    ends = [r.valid_until for r in statement.rows.values() if r.status is Status.SATISFIED and r.valid_until]
    return min(ends, default=None)
