"""The gate: pure decisions on moves in the registry, and the records they rest on. Nothing here knows MLflow."""
