"""Jobs that ended, written to an MLflow server."""
