"""Live operation in MLflow: windows of evidence filed, alarms raised, models observed while they serve."""
