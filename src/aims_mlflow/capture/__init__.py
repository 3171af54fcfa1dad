"""From MLflow's objects to evidence: runs, models, environments, datasets."""
