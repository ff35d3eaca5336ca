"""Models of the permutations world: recipe, weights, gates. ``python -m harness.models.zoo.permutations`` makes them.

Importing this module imports no torch.
"""
