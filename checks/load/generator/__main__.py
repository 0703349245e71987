"""`python -m checks.load.generator`: started by the console, never by hand."""

from __future__ import annotations

import sys

from checks.load.generator.process import main

if __name__ == "__main__":
    sys.exit(main())
