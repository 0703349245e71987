"""The checks of monitoring: that each limit is watched, tested, live, and reaches people."""
