"""Which registered models an incident is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aims_mlflow.attach.tags import MODEL_TAGS
from aims_mlflow.config import Declaration
from aims_mlflow.management.incident_log import Logged
from aims_mlflow.management.incidents import IncidentContent
from aims_mlflow.management.inventory import Claims, assign
from aims_mlflow.management.state import State

_PAGE = 200


def registered_models(registry: Any) -> dict[str, str | None]:
    """Every registered model, with the system its own tag names; None where it names none.

    Raises:
        MlflowException: the registry cannot be read.
    """
    found: dict[str, str | None] = {}
    token = None
    while True:
        page = registry.search_registered_models(max_results=_PAGE, page_token=token)
        for model in page:
            found[str(model.name)] = dict(model.tags or {}).get(MODEL_TAGS[0])
        token = page.token
        if not token:
            return found


class Owners:
    """Tells the systems of a registered model.

    By the inventory, by ``aims.yaml`` and by the tag of its assessments: a model that any of them gives to a system is
    held with it.

    Args:
        models: Registered models, with the system the model's own tag names.
        state: The records.
        declaration: ``aims.yaml``.
    """

    def __init__(self, models: Mapping[str, str | None], state: State, declaration: Declaration) -> None:
        self.models = models
        self._inventory = assign(models, state)
        own = declaration.system.id
        self._declared = Claims([(own, declaration.registered_models)] if own else [])

    def systems_of(self, model: str) -> frozenset[str]:
        """Ids of the systems it belongs to."""
        tagged = self.models.get(model)
        found = {*self._inventory.systems_of(model), *self._declared.on(model)}
        return frozenset(found | ({tagged} if tagged else set()))

    def concerned(self, incident: Logged) -> tuple[str, ...]:
        """Registered models an incident is about: those of its systems, and those of which a version took part."""
        return tuple(sorted(model for model in self.models if self.concerns(incident, model)))

    def concerns(self, incident: Logged, model: str) -> bool:
        """Whether an incident is about a registered model."""
        affected = incident.content.affected if isinstance(incident.content, IncidentContent) else ()
        about = set(incident.record.systems)
        return any(one.registered_name == model for one in affected) or not about.isdisjoint(self.systems_of(model))
