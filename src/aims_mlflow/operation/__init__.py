"""Live operation without MLflow: windows of time, alarms over them. Pure."""
