"""``flush``: deliver what the spool holds."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from aims_mlflow.attach.spool import read_entry, spooled_files
from aims_mlflow.attach.store import check_reachable
from aims_mlflow.delivery.locks import lock_of
from aims_mlflow.delivery.run import deliver_now
from aims_mlflow.errors import DeliveryError, EvidenceError


@dataclass
class FlushResult:
    """What ``flush`` did."""

    delivered: list[str] = field(default_factory=list)
    """Run ids."""
    kept: list[str] = field(default_factory=list)
    """Spool files that still wait."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Spool file to why it still waits."""


def flush(*, tracking_uri: str | None = None, skip: Collection[str] = ()) -> FlushResult:
    """Deliver what the spool holds, oldest first. Delivering twice is harmless: evidence is named by its content.

    Args:
        tracking_uri: Only what is bound for this server; all where None.
        skip: Spool files not to try.
    """
    from mlflow import MlflowClient

    result = FlushResult()
    for path in spooled_files():
        if str(path) in skip:
            continue
        try:
            entry = read_entry(path)
            if tracking_uri is not None and entry.tracking_uri != tracking_uri:
                continue
            check_reachable(entry.tracking_uri)
            client = MlflowClient(tracking_uri=entry.tracking_uri)
            with lock_of(entry.run_id):
                deliver_now(
                    client, entry.run_id, entry.evidence, entry.settings, assess=entry.assess, facts=None, model=None
                )
        except Exception as error:  # noqa: BLE001  (kept; the reason is reported)
            result.kept.append(str(path))
            result.reasons[str(path)] = _why(error)
            continue
        path.unlink(missing_ok=True)
        result.delivered.append(entry.run_id)
    return result


def _why(error: Exception) -> str:
    if isinstance(error, DeliveryError | EvidenceError):
        return str(error)
    code = getattr(error, "error_code", None)
    return f"{code or type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}"
