"""The sampler against a naive one, and the random streams."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest
import torch
from support.small import example
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3ForCausalLM,
)

from harness import seeds
from harness.models import sampler
from harness.models.prompts import Prompts
from harness.models.reader import TextReader
from harness.models.sampler import RolloutBatch, from_texts, sample
from harness.types import Finish, HarnessError

PROMPTS = ([5, 9, 11], [7], [30, 8, 8, 21, 14, 6, 40], [12, 13])
EOS = 2
T = 40


def draw(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[Sequence[int]] = PROMPTS,
    *,
    n: int = 4,
    steps: int = T,
    temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int = 3,
    generator: torch.Generator | None = None,
) -> RolloutBatch:
    return sample(
        model,
        TextReader(tokenizer),
        [example(i) for i in range(len(prompts))],
        Prompts.of_ids(prompts, 0),
        rollouts_per_prompt=n,
        max_new_tokens=steps,
        temperature=temperature,
        top_p=top_p,
        generator=generator or torch.Generator().manual_seed(seed),
    )


def written(batch: RolloutBatch) -> list[list[int]]:
    return [ids[mask].tolist() for ids, mask in zip(batch.response_ids_BT, batch.mask_BT, strict=True)]


@torch.no_grad()
def full_logp(model: PreTrainedModel, prompt: Sequence[int], response: list[int], temperature: float = 1.0):
    """Log-probability of each response token from one unpadded forward pass without cache."""
    logits = model(torch.tensor([[*prompt, *response]])).logits[0, len(prompt) - 1 : -1]
    return torch.log_softmax(logits / temperature, -1).gather(-1, torch.tensor(response)[:, None]).squeeze(-1)


@torch.no_grad()
def naive(model: PreTrainedModel, prompt: Sequence[int], noise: torch.Tensor) -> list[int]:
    """One rollout alone, without cache: the token whose interval of the CDF holds the noise."""
    response: list[int] = []
    for u in noise.tolist():
        cdf = model(torch.tensor([[*prompt, *response]])).logits[0, -1].double().softmax(-1).cumsum(-1)
        response.append(next(i for i, edge in enumerate(cdf.tolist()) if u < edge))
        if response[-1] == EOS:
            break
    return response


def sliding_qwen3(model: Qwen3ForCausalLM) -> PreTrainedModel:
    """The same weights, the second layer looking back four tokens: takes its own cache and masks."""
    config = copy.deepcopy(model.config)
    config.sliding_window, config.layer_types = 4, ["full_attention", "sliding_attention"]
    sliding = Qwen3ForCausalLM(config).eval()
    sliding.load_state_dict(model.state_dict())
    return sliding


def gpt2(model: Qwen3ForCausalLM) -> PreTrainedModel:
    """Learnt absolute positions."""
    config = GPT2Config(
        vocab_size=model.config.vocab_size,
        n_embd=32,
        n_layer=2,
        n_head=2,
        n_positions=64,
        initializer_range=0.3,
        eos_token_id=EOS,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return GPT2LMHeadModel(config).eval()


@pytest.fixture(scope="module")
def batch(tiny_model: Qwen3ForCausalLM, tiny_tokenizer: PreTrainedTokenizerFast) -> RolloutBatch:
    return draw(tiny_model, tiny_tokenizer)


@pytest.mark.slow
@pytest.mark.parametrize("build", [lambda model: model, sliding_qwen3, gpt2], ids=["qwen3", "sliding", "gpt2"])
def test_each_rollout_is_what_a_naive_sampler_writes_from_its_row_of_noise(
    build: Callable[[Qwen3ForCausalLM], PreTrainedModel],
    tiny_model: Qwen3ForCausalLM,
    tiny_tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sampler._RoomyLayer, "ROOM", 3)  # so that the cache grows several times
    model = build(tiny_model)
    batch = draw(model, tiny_tokenizer, steps=20)
    noise_BT = torch.rand(16, 20, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    expected = [naive(model, PROMPTS[row // 4], noise_BT[row]) for row in range(16)]
    assert written(batch) == expected
    assert {len(response) for response in expected} != {20}  # rows did leave the batch


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_logp_is_that_of_a_full_forward_at_the_sampling_temperature(
    temperature: float, tiny_model: Qwen3ForCausalLM, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    batch = draw(tiny_model, tiny_tokenizer, temperature=temperature, top_p=0.9)
    for row, response in enumerate(written(batch)):
        expected = full_logp(tiny_model, PROMPTS[row // 4], response, temperature)
        torch.testing.assert_close(batch.logp_BT[row, : len(response)], expected, atol=1e-4, rtol=0)
    assert batch.logp_BT[~batch.mask_BT].eq(0).all()


def test_shared_prompt_equals_repeated_prompt(
    batch: RolloutBatch, tiny_model: Qwen3ForCausalLM, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    alone = draw(tiny_model, tiny_tokenizer, [p for p in PROMPTS for _ in range(4)], n=1)
    assert written(alone) == written(batch)
    assert batch.prompt_of_B.tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4
    assert alone.prompt_of_B.tolist() == list(range(16))


def test_rollout_does_not_depend_on_other_rows(
    batch: RolloutBatch, tiny_model: Qwen3ForCausalLM, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    fewer = draw(tiny_model, tiny_tokenizer, PROMPTS[:2])  # another padding, other neighbours, fewer rows
    assert written(fewer) == written(batch)[:8]


def test_equal_seeds_give_equal_bits_and_other_seeds_other_rollouts(
    batch: RolloutBatch, tiny_model: Qwen3ForCausalLM, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    again = draw(tiny_model, tiny_tokenizer)
    assert torch.equal(again.logp_BT, batch.logp_BT) and written(again) == written(batch)
    assert written(draw(tiny_model, tiny_tokenizer, seed=4)) != written(batch)


def test_generator_advances_by_the_same_amount_whatever_the_lengths(
    tiny_model: Qwen3ForCausalLM, tiny_teacher: Qwen3ForCausalLM, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    generators = [torch.Generator().manual_seed(0) for _ in range(2)]
    for model, generator in zip((tiny_model, tiny_teacher), generators, strict=True):
        draw(model, tiny_tokenizer, generator=generator)
    assert torch.equal(generators[0].get_state(), generators[1].get_state())


def test_rollouts_end_at_the_first_eos_or_at_the_limit(batch: RolloutBatch) -> None:
    assert set(batch.finish) == {Finish.EOS, Finish.LENGTH}
    for response, finish in zip(written(batch), batch.finish, strict=True):
        assert EOS not in response[:-1]
        assert (response[-1] == EOS) == (finish is Finish.EOS)
        assert finish is Finish.EOS or len(response) == T
    assert batch.response_ids_BT[~batch.mask_BT].eq(0).all()
    assert batch.n_tokens == sum(map(len, written(batch)))


def test_batch_is_as_long_as_its_longest_rollout(
    tiny_model: Qwen3ForCausalLM, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    batch = draw(tiny_model, tiny_tokenizer, PROMPTS[:1], n=1, steps=200)
    assert batch.finish == (Finish.EOS,)
    assert batch.response_ids_BT.shape == batch.mask_BT.shape == batch.logp_BT.shape == (1, batch.n_tokens)


def test_every_eos_of_the_generation_config_ends_a_rollout(
    tiny_model: Qwen3ForCausalLM, tiny_tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiny_model.generation_config, "eos_token_id", [7, 8, 9, 10])
    batch = draw(tiny_model, tiny_tokenizer, n=8)
    ended = [r for r, f in zip(written(batch), batch.finish, strict=True) if f is Finish.EOS]
    stops = {7, 8, 9, 10, EOS}  # the tokenizer's own still counts
    assert len({r[-1] for r in ended} & stops) > 2 and EOS in {r[-1] for r in ended}
    assert not any(stops & set(r[:-1]) for r in written(batch))


def test_where_padding_is_eos_the_mask_keeps_the_first_eos(
    batch: RolloutBatch, tiny_model: Qwen3ForCausalLM, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tiny_tokenizer.backend_tokenizer, eos_token="<|im_end|>", pad_token="<|im_end|>"
    )
    merged = draw(tiny_model, tokenizer)
    assert written(merged) == written(batch)
    assert merged.response_ids_BT[~merged.mask_BT].eq(EOS).all()
    assert merged.finish == batch.finish


def test_greedy_is_what_generate_writes(tiny_model: Qwen3ForCausalLM, tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    batch = draw(tiny_model, tiny_tokenizer, n=1, temperature=0.0)
    for row, (prompt, response) in enumerate(zip(PROMPTS, written(batch), strict=True)):
        ids = torch.tensor([prompt])
        out = tiny_model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=T, do_sample=False)
        assert response == out[0, len(prompt) :].tolist()
        expected = full_logp(tiny_model, prompt, response)
        torch.testing.assert_close(batch.logp_BT[row, : len(response)], expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (2.0, 1.0), (1.0, 0.7)])
def test_frequencies_match_the_distribution(
    temperature: float, top_p: float, tiny_model: Qwen3ForCausalLM, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    n = 20_000
    batch = draw(tiny_model, tiny_tokenizer, PROMPTS[:1], n=n, steps=1, temperature=temperature, top_p=top_p, seed=0)
    with torch.no_grad():
        logits = tiny_model(torch.tensor([PROMPTS[0]])).logits[0, -1]
    p = torch.softmax(logits.double() / temperature, -1)
    ranked = sorted(p.tolist(), reverse=True)
    size = next(k for k in range(1, 44) if sum(ranked[:k]) >= top_p - 1e-12)
    p = torch.where(p >= ranked[size - 1], p, 0.0)
    p = p / p.sum()
    count = torch.bincount(batch.response_ids_BT[:, 0], minlength=43).double()
    assert count[p == 0].eq(0).all()
    kept = p > 0
    chi2 = ((count - n * p)[kept] ** 2 / (n * p[kept])).sum()
    # 99.9 % of the chi-square distribution with k degrees of freedom lies below k + 4.5 sqrt(k) for k >= 4.
    k = int(kept.sum()) - 1
    assert k >= 4
    assert chi2 < k + 4.5 * k**0.5


def test_tokens_without_probability_are_never_drawn() -> None:
    logp_AV = torch.tensor([[0.0, 0.5, 0.0, 0.5, 0.0]]).log().expand(4, -1)
    noise_A = torch.tensor([0.0, 0.5, 0.25, 1 - 2**-53], dtype=torch.float64)
    # Intervals: token 1 owns [0, 0.5), token 3 owns [0.5, 1).
    ids_A, logp_A = sampler._draw(logp_AV, noise_A, 1.0)
    assert ids_A.tolist() == [1, 3, 1, 3]
    torch.testing.assert_close(logp_A, torch.full((4,), 0.5).log())


@pytest.mark.parametrize("vocabulary", [300, 151_936])
def test_a_search_in_groups_finds_the_word_of_a_search_over_all(vocabulary: int) -> None:
    generator = torch.Generator().manual_seed(0)
    logits_AV = 4 * torch.randn(9, vocabulary, generator=generator)
    logits_AV[:, 5 : 2 * sampler.GROUP] = -torch.inf
    logits_AV[:, -3:] = -torch.inf
    p_AV = logits_AV.softmax(-1)
    noise_A = torch.rand(9, generator=generator, dtype=torch.float64)
    noise_A[:2] = torch.tensor([0.0, 1 - 2**-53])
    found_A = sampler._search_in_groups(p_AV, noise_A)
    assert found_A.tolist() == sampler._search(p_AV.double(), noise_A).tolist()
    assert p_AV.gather(-1, found_A[:, None]).min() > 0


def test_a_large_vocabulary_is_drawn_from_as_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    logits_AV = torch.randn(64, 200, generator=torch.Generator().manual_seed(1))
    noise_A = torch.rand(64, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    small = sampler._draw(logits_AV, noise_A, 1.0)
    monkeypatch.setattr(sampler, "LARGE", 100)
    for one, other in zip(small, sampler._draw(logits_AV, noise_A, 1.0), strict=True):
        torch.testing.assert_close(one, other)


def test_survivors_fill_the_gaps_from_the_end() -> None:
    ended_A = torch.tensor([False, True, False, True, True, False])
    assert sampler._survivors(ended_A).tolist() == [0, 5, 2]


def test_rollouts_can_be_trained_on(batch: RolloutBatch, tiny_model: Qwen3ForCausalLM) -> None:
    tensors = (batch.prompts.ids_QL, batch.response_ids_BT, batch.logp_BT, batch.mask_BT, batch.prompt_of_B)
    assert not any(x.is_inference() for x in tensors)
    loss = tiny_model(batch.response_ids_BT).logits.logsumexp(-1)[batch.mask_BT].sum()
    (gradient,) = torch.autograd.grad(loss, [tiny_model.model.embed_tokens.weight])
    assert gradient.abs().sum() > 0


def test_texts_become_rollouts_and_texts_again(tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    texts = ["a 1 ! 2", "b", "!"]
    reader = TextReader(tiny_tokenizer)
    prompts = Prompts.of_ids(PROMPTS[:2], 0).continued_by(torch.tensor([1, 0, 1]))
    batch = from_texts(reader, [example(0), example(1)], prompts, texts)
    assert written(batch) == [[*tiny_tokenizer.convert_tokens_to_ids(t.split()), EOS] for t in texts]
    assert batch.responses(reader) == texts
    assert batch.prompt_of_B.tolist() == [1, 0, 1]
    assert batch.prompts.ids_QL.tolist() == [[5, 9, 11], [0, 0, 7]]
    assert batch.prompts.mask_QL.tolist() == [[True] * 3, [False, False, True]]
    assert batch.finish == (Finish.EOS,) * 3
    assert batch.logp_BT.eq(0).all() and batch.n_tokens == 9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 0}, "rollouts_per_prompt=0"),
        ({"steps": 0}, "max_new_tokens=0"),
        ({"temperature": -1.0}, "temperature=-1.0"),
        ({"top_p": 0.0}, "top_p=0.0"),
        ({"prompts": ([5], [])}, "1 of them empty"),
        ({"prompts": ()}, "0 prompts"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(
    change: dict[str, object],
    message: str,
    tiny_model: Qwen3ForCausalLM,
    tiny_tokenizer: PreTrainedTokenizerFast,
) -> None:
    with pytest.raises(HarnessError, match=message) as error:
        draw(tiny_model, tiny_tokenizer, **change)
    assert "\n" not in str(error.value)


def test_a_model_without_eos_is_refused(
    tiny_model: Qwen3ForCausalLM,
    tiny_tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tiny_tokenizer.backend_tokenizer)
    monkeypatch.setattr(tiny_model.generation_config, "eos_token_id", None)
    with pytest.raises(HarnessError, match="EOS"):
        draw(tiny_model, tokenizer)


def test_seeds_are_fixed_for_ever() -> None:
    # python -c "import hashlib; print(int(hashlib.sha256(b'[0, \"rollout\", 7]').hexdigest()[:16], 16) // 2)"
    assert seeds.seed(0, "rollout", 7) == 4731288623089638832
    names = {seeds.seed(r, n, s) for r in (0, 1) for n in ("a", "a1") for s in (0, 1, 11)}
    assert len(names) == 12 and all(0 <= s < 2**63 for s in names)


def test_streams_repeat_and_need_no_torch_to_be_named() -> None:
    first, again, other = (torch.rand(3, generator=seeds.generator(0, name)) for name in ("data", "data", "rollout"))
    assert torch.equal(first, again) and not torch.equal(first, other)
    code = "import sys, harness.seeds as s; s.seed(0, 'data'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
