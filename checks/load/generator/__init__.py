"""The load generator: a process of its own that sends messages by a schedule and times the replies."""
