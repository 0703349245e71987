"""The command line as a script or a lead uses it."""
