"""``python -m harness.models.zoo`` rebuilds the shipped models."""

from harness.models.zoo import main

main()
