"""A replica's dealings with MLflow: its parts delivered, what the dead left, and the windows that are to be closed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aims_mlflow.monitoring.observing.shipping import Shipment, Shipper, deliver_leftovers, deliver_waiting
from aims_mlflow.monitoring.observing.spool import ReplicaSpool
from aims_mlflow.monitoring.observing.target import Target
from aims_mlflow.operation.windows import Window


class Desk:
    """What one replica delivers and closes. Every method but ``note`` may raise what ``Shipper`` and ``close`` do.

    Args:
        replica: Its name.
        target: What is observed; None until that is known.
        client: An ``MlflowClient``; one for the target's server where None.
    """

    def __init__(self, replica: str, target: Target | None, client: Any = None) -> None:
        self.replica = replica
        self.target = target
        self._client = client
        self._shipper: Shipper | None = None
        self._to_close: dict[Window, float] = {}

    def ship(self, spool: ReplicaSpool) -> Shipment:
        """Deliver the finished parts of the replica."""
        if self._shipper is None:
            self._shipper = Shipper(self._mlflow(), spool.home)
        done = deliver_waiting(self._client, spool.home, spool.folder, self._shipper)
        for window in {window for *_, window in done.windows}:
            self.note(window)
        return done

    def leftovers(self, roots: Sequence[Path]) -> Shipment:
        """Deliver what killed replicas left in the spool, and note the windows that nobody closed."""
        from aims_mlflow.monitoring.merging import unclosed

        target = self.target
        if target is None:
            return Shipment()
        done = deliver_leftovers(roots, tracking_uri=target.tracking_uri, skip=frozenset({self.replica}))
        for one in unclosed(self._mlflow(), target.policy, model=target.model):
            if one.version == target.version:
                self.note(one.window)
        return done

    def note(self, window: Window) -> None:
        """A window that has a part now and is to be closed when its grace is over."""
        if self.target is not None:
            self._to_close[window] = window.end.timestamp() + self.target.grace.total_seconds()

    def close_due(self, now: float) -> None:
        """Close the windows whose grace is over, if their first part is this replica's; another closes them else.

        A window that another should have closed and did not within a second grace is closed, too.

        Args:
            now: Seconds since 1970.
        """
        if self.target is None:
            return
        from aims_mlflow.monitoring.merging import close, state_of

        grace = self.target.grace.total_seconds()
        for window, moment in list(self._to_close.items()):
            if moment > now:
                continue
            client = self._mlflow()
            state = state_of(client, self.target, window)
            if state is not None and not state.closed:
                if state.first != self.replica and now < moment + grace:
                    continue
                close(self.target, window, client=client)
            self._to_close.pop(window, None)

    def _mlflow(self) -> Any:
        if self._client is None and self.target is not None:
            from mlflow import MlflowClient

            self._client = MlflowClient(tracking_uri=self.target.tracking_uri)
        return self._client
