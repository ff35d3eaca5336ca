"""Views against a plain forward pass, and the bound on logits alive at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from support import language
from support.drive_run import short_run
from support.small import VOCABULARY, example, fixed_batch, plain_logp, policies, small_method, tiny
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    PreTrainedModel,
    Qwen3ForCausalLM,
)

from harness.config import ModelSpec
from harness.losses import fused, tokens
from harness.losses.tokens import TokenView
from harness.models import forward, load
from harness.models.forward import check_logits, head_of, response_hidden, score
from harness.models.prompts import Prompts
from harness.models.sampler import sample
from harness.training.step import optimiser_losses
from harness.training.trainer import prepare
from harness.types import PLAIN, PRIVILEGED, HarnessError, Policy, Want

ALL = frozenset(Want)


def scored(batch, context: str, **changes):
    r = batch.rollouts
    settings = {"wants": ALL, "temperature": 1.0, "microbatch": 64} | changes
    return score(tiny(1), batch.contexts[context], r.response_ids_BT, r.mask_BT, **settings)


@pytest.mark.parametrize("context", [PLAIN, PRIVILEGED])
def test_scores_equal_a_forward_pass_without_sharing(context: str) -> None:
    batch = fixed_batch(tiny(0))
    prompts = batch.contexts[context]
    got = scored(batch, context)
    rows = prompts.row_of_B
    want = plain_logp(
        tiny(1), prompts.ids_QL[rows], prompts.mask_QL[rows], batch.rollouts.response_ids_BT, batch.rollouts.mask_BT
    )
    torch.testing.assert_close(got.logp_BT, want, rtol=0, atol=1e-12)


def test_the_response_slice_does_not_move_with_the_prefix() -> None:
    """Other prefix lengths, same response tokens: hidden states differ, their place does not."""
    batch = fixed_batch(tiny(0))
    r = batch.rollouts
    plain, privileged = (scored(batch, c) for c in (PLAIN, PRIVILEGED))
    assert plain.hidden_BTD is not None and privileged.hidden_BTD is not None
    assert plain.hidden_BTD.shape == privileged.hidden_BTD.shape == (*r.mask_BT.shape, 16)
    assert not torch.allclose(plain.logp_BT[r.mask_BT], privileged.logp_BT[r.mask_BT])


def test_entropy_and_temperature() -> None:
    batch = fixed_batch(tiny(0))
    assert scored(batch, PLAIN, wants=frozenset({Want.LOGP})).entropy_BT is None
    hot = scored(batch, PLAIN, temperature=1e9)
    assert hot.entropy_BT is not None
    uniform = torch.log(torch.tensor(float(VOCABULARY), dtype=torch.float64))
    torch.testing.assert_close(
        hot.entropy_BT[batch.rollouts.mask_BT], uniform.expand(int(batch.rollouts.mask_BT.sum()))
    )
    assert float(hot.entropy_BT[~batch.rollouts.mask_BT].abs().sum()) == 0.0


def test_gradient_through_the_shared_prefix_equals_the_unshared_one() -> None:
    batch = fixed_batch(tiny(0))
    r, prompts = batch.rollouts, batch.contexts[PLAIN]
    shared, apart = tiny(0), tiny(0)
    response_hidden(shared, prompts, r.response_ids_BT)[r.mask_BT].pow(2).sum().backward()
    for b in range(len(r.mask_BT)):
        row = prompts.row_of_B[b]
        prompt = prompts.ids_QL[row][prompts.mask_QL[row]]
        ids = torch.cat([prompt, r.response_ids_BT[b][r.mask_BT[b]]])[None]
        hidden = apart.get_decoder()(input_ids=ids).last_hidden_state[0, len(prompt) - 1 : -1]
        hidden.pow(2).sum().backward()
    for x, y in zip(shared.get_decoder().parameters(), apart.get_decoder().parameters(), strict=True):
        torch.testing.assert_close(x.grad, y.grad, rtol=1e-9, atol=1e-9)


def test_logits_alive_never_exceed_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "LOGIT_BUDGET", 4 * VOCABULARY)
    models, sizes = policies(), []
    take = fused.SCRATCH.take

    def watched(shape: tuple[int, int], *, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        sizes.append(shape[0] * shape[1])
        return take(shape, like=like)

    monkeypatch.setattr(fused.SCRATCH, "take", watched)
    batch = fixed_batch(models[Policy.STUDENT])
    sizes.clear()
    list(optimiser_losses(small_method("dopd"), models, batch, progress=0.0, microbatch=64))
    assert max(sizes) <= 4 * VOCABULARY < int(batch.rollouts.mask_BT.sum()) * VOCABULARY


def test_chunks_change_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def gradients() -> list[torch.Tensor]:
        models = policies()
        batch = fixed_batch(models[Policy.STUDENT])
        list(optimiser_losses(small_method("dopd"), models, batch, progress=0.0, microbatch=64))
        return [p.grad for p in models[Policy.STUDENT].parameters() if p.grad is not None]

    whole = gradients()
    monkeypatch.setattr(tokens, "LOGIT_BUDGET", 3 * VOCABULARY)
    for x, y in zip(whole, gradients(), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-9, atol=1e-12)


def test_a_view_without_distribution_says_what_to_add() -> None:
    view = TokenView(tokens_N=torch.tensor([1]), logp_N=torch.tensor([-0.5]))
    assert float(view.logp_N) == -0.5
    with pytest.raises(ValueError, match=r"Want\.DISTRIBUTION"):
        _ = view.logp_NV


def test_loss_arithmetic_is_at_least_fp32() -> None:
    view = TokenView(tokens_N=torch.tensor([1]), hidden_ND=torch.zeros(1, 4, dtype=torch.bfloat16), head=lambda h: h)
    assert view.logp_NV.dtype is torch.float32


SIZES = {
    "vocab_size": 77,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "initializer_range": 0.3,
    "eos_token_id": 2,
    "pad_token_id": 0,
}


def capped() -> PreTrainedModel:
    return Gemma2ForCausalLM(Gemma2Config(head_dim=16, final_logit_softcapping=5.0, **SIZES))


def multiplied() -> PreTrainedModel:
    return CohereForCausalLM(CohereConfig(logit_scale=0.5, **SIZES))


def divided() -> PreTrainedModel:
    return GraniteForCausalLM(GraniteConfig(logits_scaling=3.0, **SIZES))


@pytest.mark.parametrize("make", [capped, multiplied, divided])
def test_logits_are_the_models_own_whatever_it_does_behind_its_output_layer(
    make: Callable[[], PreTrainedModel],
) -> None:
    """The scorer was off by 3.5 nats of a model that caps its logits."""
    torch.manual_seed(0)
    model = make().eval()
    check_logits(model)
    reader = load.load_reader(ModelSpec(name=language.STUDENT))
    generator = torch.Generator().manual_seed(0)
    prompts = Prompts.of_ids([[5, 9, 11, 4], [7, 8]], 0)
    examples = [example(0), example(1)]
    settings: dict[str, Any] = {"rollouts_per_prompt": 6, "max_new_tokens": 20, "generator": generator}
    r = sample(model, reader, examples, prompts, **settings)
    got = score(model, r.prompts, r.response_ids_BT, r.mask_BT, wants=ALL, temperature=1.0, microbatch=64)
    torch.testing.assert_close(got.logp_BT, r.logp_BT, rtol=0, atol=1e-4)

    ids_1L = torch.arange(3, 19)[None]
    hidden_ND = model.get_decoder()(input_ids=ids_1L).last_hidden_state[0, :-1]
    view = TokenView(tokens_N=ids_1L[0, 1:], hidden_ND=hidden_ND, head=head_of(model, trained=True))
    view.logp_N.sum().backward()
    got_grads = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    logp_NV = model(input_ids=ids_1L).logits[0, :-1].log_softmax(-1)
    logp_NV.gather(-1, ids_1L[0, 1:, None]).sum().backward()
    for mine, plain in zip(got_grads, model.parameters(), strict=True):
        torch.testing.assert_close(mine, plain.grad, rtol=1e-3, atol=1e-3)


def test_a_model_that_changes_its_logits_in_a_way_not_known_here_is_refused() -> None:
    model = tiny(0)
    check_logits(model)
    plain = model.forward
    model.forward = lambda *arguments, **names: _hotter(plain(*arguments, **names))
    with pytest.raises(
        HarnessError, match=r"Qwen3ForCausalLM: log-probabilities .* are off by [\d.]+ nats from its own"
    ):
        check_logits(model)


def test_a_run_with_such_a_model_is_refused_before_its_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Qwen3ForCausalLM.forward
    monkeypatch.setattr(Qwen3ForCausalLM, "forward", lambda *arguments, **names: _hotter(plain(*arguments, **names)))
    with pytest.raises(HarnessError, match=r"draw0/student: log-probabilities from its hidden states .* are off by"):
        prepare(short_run("vanilla_opd", 2))


def _hotter(output: Any) -> Any:
    output.logits = output.logits * 2
    return output


def test_a_look_up_adds_the_librarys_gradient_in_place() -> None:
    """Repeated words add up, padding learns nothing, what is in ``.grad`` stays."""
    weight_VD = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ids_BL = torch.tensor([[1, 2, 2], [0, 4, 1]])
    found = []
    for look_up in (forward._Lookup.apply, torch.nn.functional.embedding):
        w = weight_VD.clone().requires_grad_()
        w.grad = torch.ones_like(w)
        look_up(ids_BL, w, 0).pow(2).sum().backward()
        found.append(w.grad)
    torch.testing.assert_close(*found)
    assert found[0][0].eq(1).all()
    fresh = weight_VD.clone().requires_grad_()
    forward._Lookup.apply(ids_BL, fresh, None).sum().backward()
    assert fresh.grad is not None
    assert fresh.grad[:, 0].tolist() == [1, 2, 2, 0, 1]


def test_an_output_layer_that_is_more_than_a_matrix_is_called_as_it_is() -> None:
    class Adapted(torch.nn.Linear):
        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            return super().forward(hidden) + 1.0

    model = tiny(0)
    plain = head_of(model, trained=True)
    assert isinstance(plain, fused.Head)
    assert plain.into_VD is plain.weight_VD.grad
    layer = Adapted(*reversed(model.get_output_embeddings().weight.shape), bias=False).double()
    model.set_output_embeddings(layer)
    hidden_ND = torch.ones(2, layer.in_features, dtype=torch.float64)
    for trained in (True, False):
        logits_NV = head_of(model, trained=trained)(hidden_ND)
        torch.testing.assert_close(logits_NV.detach(), layer(hidden_ND).detach())
        assert logits_NV.requires_grad == trained
