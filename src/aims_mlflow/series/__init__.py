"""Windows of monitoring as MLflow runs: found, claimed once, read back."""
