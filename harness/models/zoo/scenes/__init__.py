"""Models of the scenes world: recipe, weights, gates. ``python -m harness.models.zoo.scenes`` makes them.

Importing this module imports no torch.
"""
