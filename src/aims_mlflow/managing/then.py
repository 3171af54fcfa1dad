"""What served at an earlier moment, and what its assessment would have been: for a gap as of a date that is past."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from aims_mlflow.api.policies import Config
from aims_mlflow.assessment import Assessment, Overall, Status
from aims_mlflow.errors import AimsError, DeliveryError, EvidenceError
from aims_mlflow.evidence import Verdict
from aims_mlflow.gate.history import Serving, history
from aims_mlflow.gate.statement import TAG, Statement, open_until, read_statement, rows_of
from aims_mlflow.managing.records import ManagementRecords
from aims_mlflow.managing.registered import InService, Registered, models_since
from aims_mlflow.registry.log import TransitionLog
from aims_mlflow.registry.standing import assess


@dataclass(frozen=True)
class Then:
    """An earlier moment.

    Args:
        records: The records in use.
        at: The moment.
    """

    records: ManagementRecords
    at: datetime

    def registered(self, registered: Registered) -> Registered:
        """What was registered then and what served, each version with the status its assessment had then.

        Raises:
            EvidenceError: a log is broken.
            DeliveryError: MLflow cannot be reached.
        """
        later = models_since(self.records.client, self.at)
        known = Registered(
            tuple(model for model in registered.models if model not in later),
            {model: versions for model, versions in registered.served.items() if model not in later},
        )
        served = self.served(known)
        past = {model: tuple(self._as_it_stood(one) for one in found) for model, found in served.served.items()}
        return Registered(served.models, past)

    def _as_it_stood(self, version: InService) -> InService:
        """The version with the tags it had then, as far as its assessment tells; an error where it cannot be read."""
        text = version.tags.get(TAG)
        if text is None:
            return replace(version, tags={})
        try:
            said = read_statement(text, {}).statement
            if said.assessed_at > self.at:
                said = self.statement(version, said)
        except EvidenceError:
            return replace(version, tags={"aims.status": str(Overall.ERROR)})
        ends = [r.valid_until for r in said.rows.values() if r.status is Status.SATISFIED and r.valid_until]
        until = f"{min(ends):%Y-%m-%d}" if ends else "none"
        return replace(version, tags={"aims.status": str(said.overall), "aims.fresh_until": until})

    def served(self, registered: Registered) -> Registered:
        """What served then, as the transition logs say; of a model without a log, what serves now.

        Raises:
            EvidenceError: a log is broken.
            DeliveryError: MLflow cannot be reached.
        """
        if not self.records.store.can_hold_records:  # nor a log, for the same reason
            return registered
        log = TransitionLog(self.records.client)
        begun = set(log.names())
        found = dict(registered.served)
        for model in registered.models:
            entries = log.read(model, fresh=True) if model in begun else ()
            if not entries:
                continue
            past = history(entries, model=model, at=self.at)
            kept = {one.version: one for one in registered.served.get(model, ())}
            found[model] = tuple(
                self._version(model, version, kept, past.current) for version in _versions(past.current)
            )
        return Registered(registered.models, found)

    def _version(self, model: str, version: str, kept: dict[str, InService], current: tuple[Serving, ...]) -> InService:
        targets = tuple(sorted(f"{s.target.kind} {s.target.name}" for s in current if s.version == version))
        if version in kept:
            return replace(kept[version], targets=targets)
        try:
            row = self.records.client.get_model_version(model, version)
        except Exception as error:
            if getattr(error, "error_code", "") != "RESOURCE_DOES_NOT_EXIST":
                raise
            # Deleted since: it served, and nothing of it can be shown.
            return InService(model, version, targets)
        tags = {str(k): str(v) for k, v in dict(row.tags or {}).items() if str(k).startswith("aims.")}
        return InService(model, version, targets, str(row.run_id) if row.run_id else None, tags, row.source)

    def statement(self, version: InService, said: Statement) -> Statement:
        """What the assessment would have said then, judged anew from the evidence that was on record.

        Args:
            version: The version.
            said: Its assessment of a later moment.

        Raises:
            EvidenceError: the evidence does not match its digests, or cannot be read.
        """
        settings = self.records.settings
        config: Config = settings.path if settings.path is not None else settings.declaration
        try:
            found = assess(
                f"models:/{version.uri}",
                config=config,
                tracking_uri=str(self.records.client.tracking_uri),
                attach=False,
                at=self.at,
            )
        except DeliveryError:
            raise
        except AimsError as error:
            raise EvidenceError(error.message, where=version.uri, remedy=error.remedy) from error
        return _as_stated(said, found)


def _as_stated(said: Statement, found: Assessment) -> Statement:
    model = found.subject.model
    return said.model_copy(
        update={
            "assessed_at": found.assessed_at,
            "overall": found.overall,
            "rows": rows_of(found.findings),
            "open_until": open_until(found.findings),
            "kinds": dict.fromkeys(found.evidence.values(), Verdict.RECORDED),
            "catalog_sha256": found.catalog_sha256,
            "declaration_sha256": found.declaration_sha256,
            "model_sha256": model.sha256 if model is not None and model.sha256 else said.model_sha256,
        }
    )


def _versions(current: tuple[Serving, ...]) -> list[str]:
    return sorted({one.version for one in current}, key=lambda version: (not version.isdigit(), version.zfill(12)))
