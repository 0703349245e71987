"""Thresholds that are watched: signals, alert rules, escalation, hand-over to Prometheus and Alertmanager."""
