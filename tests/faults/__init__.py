"""Every automatic check is proved: green on the healthy demo, red under the faults that break it."""
