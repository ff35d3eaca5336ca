"""``python -m harness.models.zoo.permutations`` makes the models of the permutations world."""

from harness.models.zoo.permutations.make import main

main()
