"""Where MLflow is hooked. Nothing happens until ``autolog()`` is called (or ``AIMS_MLFLOW_AUTOLOG=1`` is set)."""
