"""Pure measurement: tables and policies in, evidence payloads out. Knows nothing of MLflow."""
