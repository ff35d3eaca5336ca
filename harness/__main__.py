"""``python -m harness`` is the console command ``dopd``."""

import sys

from harness.cli import main

if __name__ == "__main__":
    sys.exit(main())
