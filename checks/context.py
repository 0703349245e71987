"""What a check function is given: the target, the probes, the run's nonce and what earlier checks found."""

from __future__ import annotations

from typing import Any


class Context:
    """Placeholder."""

    target: Any
