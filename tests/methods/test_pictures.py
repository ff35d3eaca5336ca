"""Vision-OPD and VA-OPD: values worked by hand, identities, what they ask of a world."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pytest
import torch
from support import language
from support.picture_world import PROFILE, PictureWorld
from support.small import small_method
from torch import Tensor

from harness import registry
from harness.config import DataSpec, RunSpec
from harness.losses.tokens import TokenView
from harness.suite import Options, training_run
from harness.training.reduce import coefficients
from harness.types import HarnessError, Modality, Pictures, Policy, Privilege, ScorePool, View
from harness.worlds import needs
from methods.va_opd import DEGRADED, VisualAdvantageDistillation
from methods.vision_opd import EVIDENCE, VisionDistillation

LN2 = 0.6931471805599453


def pool(
    whole: list[list[float]], little: list[list[float]], groups: list[int], *, present: list[bool] | None = None
) -> ScorePool:
    """Teacher's log-probabilities with the picture and with little of it; rows may have fewer tokens than others."""
    method = VisualAdvantageDistillation()
    T = max(map(len, whole))
    rows = [r + [0.0] * (T - len(r)) for r in whole]
    mask_BT = torch.tensor([[t < len(r) for t in range(T)] for r in whole])
    views = (method.terms[0].sources[0], method.scored[0])
    logp = {v: torch.tensor([r + [0.0] * (T - len(r)) for r in x]) for v, x in zip(views, (whole, little), strict=True)}
    return ScorePool(
        mask_BT=mask_BT,
        logp_BT=logp,
        entropy_BT={},
        sampler_logp_BT=torch.zeros(len(rows), T),
        group_B=torch.tensor(groups),
        update_B=torch.zeros(len(rows), dtype=torch.int64),
        draw_B=torch.zeros(len(rows), dtype=torch.float64),
        reference_B=torch.zeros(len(rows), dtype=torch.bool),
        present_B={} if present is None else {DEGRADED: torch.tensor(present)},
    )


def factors(given: ScorePool, **settings: float) -> Tensor:
    """Of each token's loss in the loss of the step."""
    method = VisualAdvantageDistillation(**settings)
    return coefficients(method.reduction, given, method.assign(given, progress=0.0))


def test_rollouts_are_weighted_by_the_softmax_of_their_standardised_advantage() -> None:
    """The paper's worked weights: means .7 .4 .2 .0, deviation .2586 (of the population), z 1.45 .29 -.48 -1.26.

    One token each, so the whole weight of a rollout is its token's; one prompt.
    """
    found = factors(pool([[-0.1], [-0.4], [-0.6], [-0.8]], [[-0.8]] * 4, [0] * 4))
    assert found.flatten().tolist() == pytest.approx([0.656, 0.206, 0.095, 0.044], abs=6e-4)


def test_a_fifth_of_the_tokens_counts_half() -> None:
    """Six tokens: ceil(1.2) = 2 high ones, the second and the fifth, a quarter each; four others, an eighth each."""
    found = factors(pool([[-1.0] * 6], [[-1.0, -3.0, -1.0, -1.5, -2.0, -1.2]], [0]))
    assert found.flatten().tolist() == pytest.approx([1 / 8, 1 / 4, 1 / 8, 1 / 8, 1 / 4, 1 / 8], abs=1e-12)


def test_fifteen_tokens_have_three_high_ones_and_ties_go_by_place() -> None:
    found = factors(pool([[-1.0] * 15], [[-2.0] * 15], [0]))
    assert found.flatten().tolist() == pytest.approx([1 / 6] * 3 + [1 / 24] * 12, abs=1e-12)


def test_a_token_that_the_picture_makes_less_probable_has_no_advantage() -> None:
    """Advantages 0 and 1, not -3 and 1: the second rollout's mean is larger by half a nat, z = -1 and 1."""
    found = factors(pool([[-3.0, -1.0], [-1.0, -1.0]], [[-0.0, -2.0], [-2.0, -2.0]], [0, 0])).sum(-1)
    assert float(found[1] / found[0]) == pytest.approx(2.718281828**2, rel=1e-4)


def test_every_prompt_counts_one_whatever_its_rollouts() -> None:
    """Weights of a prompt's rollouts sum to 1, over two prompts to a half each; equal siblings are weighted alike."""
    whole = [[-1.0], [-2.0, -1.0, -1.0], [-0.5, -0.5], [-0.5, -0.5]]
    found = factors(pool(whole, [[-2.0] * len(r) for r in whole], [0, 0, 1, 1])).sum(-1)
    assert float(found[:2].sum()) == pytest.approx(0.5) and found[2:].tolist() == pytest.approx([0.25, 0.25])


def test_a_rollout_without_its_degraded_picture_is_no_sibling() -> None:
    found = factors(pool([[-1.0], [-1.0], [-0.5]], [[-2.0]] * 3, [0, 0, 0], present=[True, False, True])).flatten()
    assert float(found[1]) == 0 and float(found.sum()) == pytest.approx(1.0)


def test_settings_act() -> None:
    given = pool([[-0.1], [-0.4]], [[-0.8]] * 2, [0, 0])
    assert float((factors(given)[0] / factors(given)[1]).log()) == pytest.approx(2.0, rel=1e-4)
    cold = factors(given, temperature=0.5)
    assert float((cold[0] / cold[1]).log()) == pytest.approx(4.0, rel=1e-4)
    long = pool([[-1.0] * 4], [[-2.0, -1.0, -1.0, -1.0]], [0])
    assert factors(long, high_weight=0.7, share=0.5).flatten().tolist() == pytest.approx([0.35, 0.35, 0.15, 0.15])


@pytest.mark.parametrize(
    "wrong", [{"temperature": 0.0}, {"share": 0.0}, {"share": 1.1}, {"high_weight": -0.1}, {"epsilon": 0.0}]
)
def test_settings_out_of_range(wrong: Mapping[str, float]) -> None:
    with pytest.raises(HarnessError, match=r"must be above 0, share in \(0, 1\], high_weight in \[0, 1\]"):
        VisualAdvantageDistillation(**wrong)


def view(logits: list[list[float]], tokens: list[int], *, trained: bool = False) -> TokenView:
    hidden = torch.tensor(logits, dtype=torch.float64, requires_grad=trained)
    return TokenView(tokens_N=torch.tensor(tokens), hidden_ND=hidden, head=lambda x: x)


def test_vision_opd_is_half_the_js_to_the_crop_at_a_capped_ratio() -> None:
    """Student (1/2, 1/2) and teacher (1, 0): m = (3/4, 1/4).

    JS = 1/2 ln(4/3) + 1/2 (1/2 ln(2/3) + 1/2 ln 2) = .2157616; the student gives the token 1/2, the sampler gave it 1/2
    (ratio 1), 1/8 (4, capped at 2) or 1 (1/2).
    """
    method = VisionDistillation(k=2)
    (term,) = method.terms
    views: dict[View, TokenView] = {
        term.trained: view([[0.0, 0.0]] * 3, [0, 0, 0], trained=True),
        term.sources[0]: view([[0.0, -200.0]] * 3, [0, 0, 0]),
    }
    sampler = torch.tensor([0.5, 0.125, 1.0], dtype=torch.float64).log()
    found = method.token_loss(term, views, {"sampler_logp": sampler})
    assert found.tolist() == pytest.approx([0.2157616, 2 * 0.2157616, 0.5 * 0.2157616], rel=1e-6)
    assert bool((found <= 2 * LN2).all())
    acted = method.diagnostics(term, views, {})["acted"]
    assert acted.tolist() == [1.0, 1.0, 1.0]
    same = {term.trained: views[term.trained], term.sources[0]: view([[0.0, 0.0]] * 3, [0, 0, 0])}
    assert method.token_loss(term, same, {"sampler_logp": sampler}).tolist() == pytest.approx([0.0] * 3, abs=1e-12)
    assert method.diagnostics(term, same, {})["acted"].tolist() == [0.0] * 3


def test_what_each_shows_and_who_reads_it() -> None:
    problems = PictureWorld().examples(PROFILE.data, "train", 2)
    crop, degraded = small_method("vision_opd"), small_method("va_opd")
    assert crop.contexts(problems, ["", ""], None) == {EVIDENCE: [Pictures("evidence")] * 2}
    assert degraded.contexts(problems, ["", ""], None) == {DEGRADED: [Pictures("degraded")] * 2}
    assert [(v.policy, v.context) for v in crop.terms[0].sources] == [(Policy.EMA, "evidence")]
    assert [(v.policy, v.context) for v in degraded.scored] == [(Policy.TEACHER, "degraded")]
    assert (crop.needs_reward, degraded.needs_reward, degraded.needs_siblings) == (False, False, True)


def test_dopd_with_reverse_kl_everywhere_changes_one_thing() -> None:
    ours, paper = (small_method(name).supervision() for name in ("dopd_reverse_kl", "dopd"))  # type: ignore[attr-defined]
    assert [s.divergence.value for s in ours] == ["reverse_kl"] * 4
    assert [(s.source, s.granularity, s.weight) for s in ours] == [(s.source, s.granularity, s.weight) for s in paper]
    assert registry.methods()["dopd_reverse_kl"].departure


# What a world must have.


def planned(name: str, profile: str = "embedded") -> RunSpec:
    return training_run(registry.profile(profile), Options(suite="ood"), method=name, domains=("coding",), seed=0)


@pytest.mark.parametrize(("name", "kind"), [("vision_opd", "evidence"), ("va_opd", "degraded")])
def test_a_world_of_text_is_refused_by_name_when_a_run_is_planned(name: str, kind: str) -> None:
    spec = planned(name)
    with pytest.raises(
        HarnessError, match=f"method {name} needs a world of the kind Pictured .*, PermutationsWorld is none"
    ):
        needs.check(spec)

    class Blurred(PictureWorld):
        pictures = ("blurred",)

    with pytest.raises(HarnessError, match=f"shows pictures of kind {kind}, Blurred has: blurred; choose other data"):
        needs.check_world(spec, small_method(name), Blurred())
    needs.check_world(spec, small_method(name), PictureWorld())
    alone = dataclasses.replace(spec, rollouts_per_prompt=1)
    if name == "va_opd":
        with pytest.raises(HarnessError, match="compares the rollouts of a prompt"):
            needs.check_world(alone, small_method(name), PictureWorld())
    else:
        needs.check_world(alone, small_method(name), PictureWorld())


def test_methods_that_show_pictures_are_left_out_of_all_where_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from suites.kit.chosen import listed_methods

    seeing = {"vision_opd", "va_opd"}
    chosen = Options(suite="methods", methods="all")
    assert not seeing & set(listed_methods(chosen))
    assert not needs.shows(language.WORLD, VisionDistillation) and needs.shows(PictureWorld(), VisionDistillation)
    of_pictures = dataclasses.replace(registry.profile("embedded"), modality=Modality.VISION)
    monkeypatch.setattr(registry, "profile", lambda name: of_pictures)
    assert seeing <= set(listed_methods(chosen))


def test_a_run_of_pictures_without_a_picture_is_refused_when_planned() -> None:
    found = Blind().examples(DataSpec(world="blind", domains=("one",)), "train", 1)
    spec = planned("vanilla_opd")
    with pytest.raises(HarnessError, match="example one/train/0 of Blind has no picture"):
        needs.check_data(spec, small_method("vanilla_opd"), Blind(), found)


class Blind(PictureWorld):
    """Whose problems lost their pictures."""

    def examples(self, data: DataSpec, split: str, n: int, start: int = 0):
        turn = {"role": "user", "content": "the colour is"}
        made = super().examples(data, split, n, start)
        kept = {Privilege.HINTS: "it is red"}
        return [dataclasses.replace(e, messages=(turn,), privileged=kept) for e in made]
