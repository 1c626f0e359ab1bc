"""Metrics, loggers, the status line, plots and videos."""
