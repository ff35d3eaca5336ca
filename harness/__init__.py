"""The harness: plans, trains, evaluates and reports. It knows no method and no suite."""

from harness.torchvision import watch

__version__ = "0.1.0"

watch()
