"""The suites: a visible dict, in the order of the paper. Values are imported on use.

Add a suite: write its file, add its line.
"""

from __future__ import annotations

SUITES: dict[str, str] = {
    "in_distribution": "suites.in_distribution:InDistribution",
    "ood": "suites.ood:OutOfDomain",
    "tuning": "suites.tuning:Tuning",
    "methods": "suites.methods_suite:EveryMethod",
}
