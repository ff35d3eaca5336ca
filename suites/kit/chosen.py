"""Which methods, domains and models a suite runs, of what is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness import registry
from harness.config import ModelSpec
from harness.method import Entry
from harness.suite import Options, Profile
from harness.types import Modality

BASELINE = "vanilla_opd"
"""What methods are compared with."""
MAIN = (BASELINE, "privileged_teacher", "dopd", "dopd_reverse_kl")
"""No privilege, privilege alone, routing on top of it, and routing with one divergence: the least that a question about
DOPD needs."""


def listed_methods(options: Options) -> tuple[str, ...]:
    """Registry names in the order asked for; by default every listed one, a plugin's among them, but those that show
    pictures where the profile is of text."""
    if options.methods in (None, "all"):
        sees = registry.profile(options.profile).modality is Modality.VISION
        listed = [name for name, entry in registry.methods().items() if entry.listed]
        return tuple(name for name in listed if sees or not registry.method_class(name).pictures)
    return tuple(dict.fromkeys(map(registry.method_name, options.methods)))


def selected_methods(options: Options, default: Sequence[str]) -> tuple[str, ...]:
    """Registry names in the order asked for; without a choice the suite's ``default``, and a plugin's methods."""
    if options.methods is not None:
        return listed_methods(options)
    known = registry.methods().items()
    return (*default, *(name for name, entry in known if entry.target.startswith(registry.PLUGIN_MODULE)))


def joint_domains(profile: Profile, options: Options) -> tuple[str, ...]:
    """Domains one run trains on together, in the profile's order; all of them unless some are named.

    Raises:
        HarnessError: not a domain of the profile's data.
    """
    known = profile.data.domains
    if options.train_domains in (None, "all"):
        return known
    named = {registry.lookup("training domain", name, known) for name in options.train_domains}
    return tuple(domain for domain in known if domain in named)


def by_paradigm(names: Iterable[str]) -> dict[str, Entry]:
    """Entries by registry name, those of one paradigm together, otherwise in the order given."""
    known = registry.methods()
    entries = {name: known[name] for name in names}
    order = list(dict.fromkeys(entry.paradigm for entry in entries.values()))
    return dict(sorted(entries.items(), key=lambda item: order.index(item[1].paradigm)))


def references(profile: Profile) -> dict[str, ModelSpec]:
    """Models that are only evaluated, by the name they have in tables."""
    return {"Student": profile.student, "Teacher": profile.teacher}
