"""Where readings come from: the target's metrics, gonogo's own probes, its database, host, certificate and log."""
