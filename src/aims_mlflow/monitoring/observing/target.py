"""What is observed: the version that serves, the plan its rows are summarised by, and where the parts go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from aims_mlflow.config import Settings
from aims_mlflow.config.monitoring import MonitoringPolicy, span
from aims_mlflow.evidence import ModelRef
from aims_mlflow.monitoring.observing.taking import Names

if TYPE_CHECKING:
    from aims_mlflow.monitoring.served import Served
    from aims_mlflow.sketches import Plan


@dataclass(frozen=True)
class Target:
    """A registered version, and how what it serves is summarised."""

    model: str
    version: str
    ref: ModelRef
    tracking_uri: str
    settings: Settings = field(default_factory=Settings)
    plan: Plan | None = None
    """None: the version has no reference profile; its rows are counted, and that is all that can be said of them."""
    reference_sha256: str | None = None

    @property
    def policy(self) -> MonitoringPolicy:
        """The monitoring section; its defaults where nothing is declared."""
        return self.settings.declaration.monitoring or MonitoringPolicy()

    @property
    def system_id(self) -> str | None:
        """The AI system."""
        return self.settings.declaration.system.id

    @property
    def length(self) -> timedelta:
        """Length of a window."""
        return self.policy.length

    @property
    def grace(self) -> timedelta:
        """How long after its end a window is closed."""
        return span(self.policy.grace)

    @property
    def smallest_cell(self) -> int:
        """Counts below it are suppressed."""
        return self.settings.declaration.privacy.smallest_cell

    @property
    def names(self) -> Names:
        """Columns the model's answer is filed under."""
        columns = self.settings.declaration.columns
        return Names(
            columns.prediction or "prediction",
            columns.probability or "probability",
            only_probability=columns.probability is not None and columns.prediction is None,
        )

    @property
    def known(self) -> frozenset[str]:
        """Columns the plan has."""
        return frozenset(self.plan.by_name) if self.plan is not None else frozenset()

    @property
    def uri(self) -> str:
        """``models:/name/version``."""
        return f"models:/{self.model}/{self.version}"

    def record(self) -> dict[str, Any]:
        """As JSON, for a model that is deployed with it."""
        return {
            "format": "1",
            "model": self.model,
            "version": self.version,
            "ref": self.ref.model_dump(mode="json"),
            "tracking_uri": self.tracking_uri,
            "declaration": self.settings.declaration.model_dump(mode="json"),
            "declaration_sha256": self.settings.sha256,
            "plan": self.plan.canonical.decode("utf-8") if self.plan is not None else None,
            "reference_sha256": self.reference_sha256,
        }


def target_of(served: Served, tracking_uri: str) -> Target:
    """What is observed, from the registry's word on it."""
    return Target(
        model=served.model,
        version=served.version,
        ref=served.ref,
        tracking_uri=tracking_uri,
        settings=served.settings,
        plan=served.profile.plan if served.profile is not None else None,
        reference_sha256=served.reference.profile_sha256 if served.reference is not None else None,
    )


def target_from(record: Mapping[str, Any], *, tracking_uri: str | None = None) -> Target:
    """From the JSON of ``Target.record``.

    Raises:
        KeyError, TypeError, ValueError, EvidenceError: it is none.
    """
    import json

    from aims_mlflow.config import Declaration
    from aims_mlflow.sketches import Plan

    if record["format"] != "1":
        msg = f"format {record['format']!r} is not known"
        raise ValueError(msg)
    plan = record["plan"]
    return Target(
        model=record["model"],
        version=record["version"],
        ref=ModelRef.model_validate(record["ref"]),
        tracking_uri=tracking_uri or record["tracking_uri"],
        settings=Settings(
            Declaration.model_validate_json(json.dumps(record["declaration"])), None, record["declaration_sha256"]
        ),
        plan=Plan.from_bytes(plan.encode("utf-8")) if plan is not None else None,
        reference_sha256=record["reference_sha256"],
    )
