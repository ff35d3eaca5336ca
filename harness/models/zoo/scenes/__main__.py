"""``python -m harness.models.zoo.scenes`` makes the models of the scenes world."""

from harness.models.zoo.scenes.make import main

main()
