"""The profiles: a visible dict, the default first. Values are imported on use.

Add a profile: write its file, which holds one ``harness.profile.Profile``, and add its line; or keep the file to
yourself and name it with ``--profile FILE.py``.
"""

from __future__ import annotations

PROFILES: dict[str, str] = {
    "embedded": "suites.profiles.embedded:PROFILE",
    "embedded_vlm": "suites.profiles.embedded_vlm:PROFILE",
    "paper": "suites.profiles.paper:PROFILE",
}
