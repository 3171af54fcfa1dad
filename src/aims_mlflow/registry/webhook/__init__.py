"""A receiver of MLflow's webhooks: a hint that something moved, never evidence of what."""

from aims_mlflow.registry.webhook.deliveries import MAX_AGE, MAX_BODY, Delivery, RefusedDelivery, verify
from aims_mlflow.registry.webhook.looking import Look, Looker
from aims_mlflow.registry.webhook.receiver import Receiver, build_app, build_server
from aims_mlflow.registry.webhook.seen import Seen, SeenFullError

__all__ = [
    "MAX_AGE",
    "MAX_BODY",
    "Delivery",
    "Look",
    "Looker",
    "Receiver",
    "RefusedDelivery",
    "Seen",
    "SeenFullError",
    "build_app",
    "build_server",
    "verify",
]
