"""The harness: plans, trains, evaluates and reports. It knows no method and no suite."""

__version__ = "0.1.0"
