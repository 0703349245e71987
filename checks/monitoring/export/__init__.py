"""The hand-over: the same rules for Prometheus, Alertmanager, Grafana and systemd, written from the thresholds."""
