"""The load scenarios: each table of `scenarios.toml` is a check of the area LOAD."""
