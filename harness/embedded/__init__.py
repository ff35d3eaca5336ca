"""The embedded default: a procedural world and four small models, shipped with the package."""
