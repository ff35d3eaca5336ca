"""What a method declares, in the words of ``docs/protocol.md``."""

from __future__ import annotations

from collections.abc import Mapping

from support.small import fixed_batch, policies, small_method

from harness import registry
from harness.training.step import build_pool, score_views
from harness.types import Policy, View


def described(view: View) -> str:
    """As the page writes a view: ``ema(privileged) rate 0.05``, ``snapshot(rollout) every 100 at 1.1``."""
    more = "".join(f" {k} {v}" for k, v in (("rate", view.rate), ("every", view.every)) if v is not None)
    more += "" if view.temperature == 1.0 else f" at {view.temperature}"
    return f"{view.policy}({view.context}){more}"


def declared(name: str) -> dict[str, str]:
    """Line by line but for its first and ``loss``, which are prose; empty where there is nothing to say."""
    method = registry.build_method(registry.method_spec(name))
    views = [view for term in method.terms for view in term.sources]
    needs = {"reward": method.needs_reward, "siblings": method.needs_siblings, "pictures": method.pictures}
    return {
        "trains": ", ".join(dict.fromkeys(described(term.trained) for term in method.terms)),
        "sources": ", ".join(dict.fromkeys(map(described, views))),
        "scored": ", ".join(map(described, method.scored)),
        "wants": ", ".join(sorted({want.value for view in views for want in view.wants})),
        "needs": ", ".join(what for what, needed in needs.items() if needed),
        "sampling": ", ".join(f"{source} {share:g}" for source, share in method.sampling.items()),
        "fields": ", ".join(sorted(fields_of(name))),
        "reduce": f"{method.reduction}" + (f", {method.updates} steps a batch" if method.updates > 1 else ""),
    }


def sketch_text(name: str, lines: Mapping[str, str], *, says: str = "...", loss: str = "...") -> str:
    """The block of ``docs/protocol.md``."""
    *most, last = {name: says, **lines}.items()
    shown = [*most, ("loss", loss), last]
    return "\n".join(f"{key:<12} {value}" for key, value in shown if value)


def fields_of(name: str) -> set[str]:
    """What the method's assignment of a small batch holds per token."""
    method, models = small_method(name), policies()
    batch = fixed_batch(models[Policy.STUDENT], method=method)
    scores = score_views(method, models, batch, microbatch=64)
    return set(method.assign(build_pool(method, models, batch, scores), progress=0.0).fields)
