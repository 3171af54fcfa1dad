"""The registry gate: the transition log, reviews, and the store plugin in front of MLflow's own model registry."""
