"""``python -m harness`` is the console command ``dopd``."""

import sys

from harness.cli.verbs import main

if __name__ == "__main__":
    sys.exit(main())
