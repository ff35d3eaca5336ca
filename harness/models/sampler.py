"""Prompts to rollouts: a batched sampler over decoder-only transformers models.

The prompt of a group is read once and its keys and values serve all its rollouts; rollouts that ended leave
the batch. The noise of the whole batch is drawn first, one row per rollout, so a rollout depends on the
generator's state, its row and its prompt, not on when its neighbours end (up to the rounding of matrix
products, whose blocking changes with the batch size).

Shapes: P prompts, L prompt tokens, B rollouts, A rollouts still alive, T response tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from harness.models.prompts import Prompts
from harness.models.reader import Reader
from harness.types import Example, Finish, HarnessError

LARGE = 2**13
"""Words above which float64 copies of a vocabulary cost more than the small operations that avoid them."""
GROUP = 128
"""Words of one group there; the vocabularies in use are multiples of it, so that none is padded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutBatch:
    """Responses to some prompts. All tensors are on one device.

    Example::

        RolloutBatch(examples=(e,), prompts=Prompts(ids_QL=[[4, 9]], mask_QL=[[True, True]], row_of_B=[0, 0]),
                     response_ids_BT=[[7, 2, 0], [7, 8, 8]],          # 2 is EOS, 0 is padding
                     mask_BT=[[True, True, False], [True, True, True]],
                     logp_BT=[[-0.1, -0.7, 0.0], [-0.1, -2.3, -0.4]], finish=(Finish.EOS, Finish.LENGTH))
    """

    examples: tuple[Example, ...]
    """[P]."""
    prompts: Prompts
    """One row for each example, [P]: the context that the loss reads the rollouts in."""
    response_ids_BT: Tensor
    """int64 [B, T], right-padded, EOS included."""
    mask_BT: Tensor
    """bool [B, T]: response tokens. Where padding and EOS share an id, only this tells them apart."""
    logp_BT: Tensor
    """float32 [B, T]: log-probability under the policy that sampled, at the sampling temperature and before
    top-p truncation; 0 where padded."""
    finish: tuple[Finish, ...]
    """[B]."""

    @property
    def prompt_of_B(self) -> Tensor:
        """int64 [B]: row of the example each rollout answers; also its group."""
        return self.prompts.row_of_B

    @property
    def n_tokens(self) -> int:
        """Response tokens, EOS included."""
        return int(self.mask_BT.sum())

    def responses(self, reader: Reader) -> list[str]:
        """Decoded responses without special tokens, [B]."""
        rows = zip(self.response_ids_BT, self.mask_BT, strict=True)
        return reader.decode([ids[mask].tolist() for ids, mask in rows])


def sample(
    model: PreTrainedModel,
    reader: Reader,
    examples: Sequence[Example],
    prompts: Prompts,
    *,
    rollouts_per_prompt: int,
    max_new_tokens: int,
    generator: torch.Generator,
    temperature: float = 1.0,
    top_p: float = 1.0,
) -> RolloutBatch:
    """Sample responses y ~ model(. | prompt).

    Rollouts of prompt i are rows ``i * rollouts_per_prompt`` and following. A response ends with its first
    EOS (an id of ``model.generation_config`` or the reader's own) or after ``max_new_tokens``. Equal
    arguments and an equal generator state give equal bits on one machine and thread count.

    Args:
        model: in eval mode; positions by ``position_ids`` (rotary or learnt, not ALiBi) and a ``cache``.
        prompts: one for each example; who continued them so far is of no account.
        temperature: divides the logits. 0 takes the most probable token and reports its log-probability at
            temperature 1.
        top_p: sample from the smallest set of tokens whose mass reaches it; ``logp_BT`` ignores the cut.
        generator: advanced by B * max_new_tokens draws, however long the responses are.

    Raises:
        HarnessError: not one prompt for each example, an argument out of range, no EOS; probabilities that are no
            numbers.
    """
    _check(examples, prompts, rollouts_per_prompt, max_new_tokens, temperature, top_p)
    ends = eos_ids(reader, model)
    prompt_of_B = torch.arange(len(examples), device=model.device).repeat_interleave(rollouts_per_prompt)
    prompts = prompts.to(model.device).continued_by(prompt_of_B)
    B = len(prompt_of_B)
    noise_BT = torch.rand((B, max_new_tokens), generator=generator, dtype=torch.float64, device=generator.device)
    ids_TB = torch.full((max_new_tokens, B), -1, device=model.device)
    logp_TB = torch.zeros((max_new_tokens, B), device=model.device)
    eos_E = torch.tensor(ends, device=model.device)
    with torch.inference_mode():  # the tensors written to were made outside, so they may serve autograd later
        decoder = _Decoder(model, prompts, max_new_tokens)
        _decode(decoder, noise_BT.T.to(model.device), ids_TB, logp_TB, eos_E, temperature, top_p)
    if broken := int(logp_TB.isnan().sum()):
        raise HarnessError(
            f"model {model.name_or_path or type(model).__name__}, which writes responses, gives probabilities that are "
            f"not finite at {broken} of {int((ids_TB >= 0).sum())} tokens: look at its weights, or take a wider dtype"
        )
    T = int((ids_TB >= 0).sum(0).max())
    ids_BT, logp_BT = (x_TB[:T].T.contiguous() for x_TB in (ids_TB, logp_TB))
    return RolloutBatch(
        examples=tuple(examples),
        prompts=prompts,
        response_ids_BT=ids_BT.masked_fill(ids_BT < 0, reader.pad_id),
        mask_BT=ids_BT >= 0,
        logp_BT=logp_BT,
        finish=tuple(Finish.EOS if e else Finish.LENGTH for e in torch.isin(ids_BT, eos_E).any(-1).tolist()),
    )


def from_texts(reader: Reader, examples: Sequence[Example], prompts: Prompts, texts: Sequence[str]) -> RolloutBatch:
    """Given responses as rollouts: EOS appended, log-probabilities 0 because nobody sampled them.

    Args:
        prompts: one for each example; text b continues row ``row_of_B[b]``, on the device of the result.
        texts: responses without special tokens, [B].

    Raises:
        HarnessError: the reader has no EOS.
    """
    end, device = eos_ids(reader)[0], prompts.ids_QL.device
    responses = [torch.tensor([*ids, end], device=device) for ids in reader.encode(texts)]
    ids_BT = pad_sequence(responses, batch_first=True, padding_value=-1)
    return RolloutBatch(
        examples=tuple(examples),
        prompts=prompts,
        response_ids_BT=ids_BT.masked_fill(ids_BT < 0, reader.pad_id),
        mask_BT=ids_BT >= 0,
        logp_BT=torch.zeros(ids_BT.shape, device=device),
        finish=(Finish.EOS,) * len(responses),
    )


def _decode(
    decoder: _Decoder,
    noise_TB: Tensor,
    ids_TB: Tensor,
    logp_TB: Tensor,
    eos_E: Tensor,
    temperature: float,
    top_p: float,
) -> None:
    """Fill ``ids_TB`` (-1 where nothing was sampled) and ``logp_TB`` token by token."""
    row_A = torch.arange(ids_TB.shape[1], device=ids_TB.device)
    for t in range(len(ids_TB)):
        logits_AV = decoder.logits_AV.float()
        if temperature == 0:
            ids_A, logp_A = _most_probable(logits_AV)
        else:
            logits_AV = logits_AV if temperature == 1 else logits_AV / temperature
            ids_A, logp_A = _draw(logits_AV, noise_TB[t, row_A], top_p)
        ids_TB[t].scatter_(0, row_A, ids_A)
        logp_TB[t].scatter_(0, row_A, logp_A)
        ended_A = torch.isin(ids_A, eos_E)
        if t + 1 == len(ids_TB) or bool(ended_A.all()):
            return
        if bool(ended_A.any()):
            rows = _survivors(ended_A)
            row_A, ids_A = row_A[rows], ids_A[rows]
            decoder.keep(rows)
        decoder.advance(ids_A)


def _most_probable(logits_AV: Tensor) -> tuple[Tensor, Tensor]:
    """ids_A and their log-probabilities at temperature 1, logp_A."""
    logp_A, ids_A = torch.log_softmax(logits_AV, dim=-1).max(-1)
    return ids_A, logp_A


def _draw(logits_AV: Tensor, noise_A: Tensor, top_p: float) -> tuple[Tensor, Tensor]:
    """Inverse-CDF sampling, one uniform number per rollout: ids_A and their log-probabilities, logp_A."""
    if top_p == 1 and logits_AV.shape[-1] > LARGE:
        p_AV = torch.softmax(logits_AV, dim=-1)
        ids_A = _search_in_groups(p_AV, noise_A)
        return ids_A, p_AV.gather(-1, ids_A[:, None]).squeeze(-1).log()
    logp_AV = torch.log_softmax(logits_AV, dim=-1)
    p_AV = logp_AV.double().exp()
    if top_p < 1:
        sorted_AV, order_AV = p_AV.sort(dim=-1, descending=True, stable=True)
        outside_AV = sorted_AV.cumsum(-1) - sorted_AV >= top_p
        p_AV = p_AV.masked_fill(torch.zeros_like(outside_AV).scatter(-1, order_AV, outside_AV), 0.0)
    ids_A = _search(p_AV, noise_A)
    return ids_A, logp_AV.gather(-1, ids_A[:, None]).squeeze(-1)


def _search(p_AW: Tensor, noise_A: Tensor) -> Tensor:
    """First place where the running sum of float64 weights passes this share of all, [A]."""
    cdf_AW = p_AW.cumsum(-1)
    total_A1 = cdf_AW[:, -1:]
    # The product may round up to the total, which only words without weight come after.
    share_A1 = torch.minimum(noise_A[:, None] * total_A1, total_A1.nextafter(torch.zeros_like(total_A1)))
    # Without probabilities (nan) it finds no place; ``sample`` then sees their logarithms.
    return torch.searchsorted(cdf_AW, share_A1, right=True).squeeze(-1).clamp(max=p_AW.shape[-1] - 1)


def _search_in_groups(p_AV: Tensor, noise_A: Tensor) -> Tensor:
    """``_search`` without a float64 copy of the vocabulary: first the group of words, then the word in it."""
    p_AV = torch.nn.functional.pad(p_AV, (0, -p_AV.shape[-1] % GROUP))
    p_AGW = p_AV.unflatten(-1, (-1, GROUP))
    mass_AG = p_AGW.sum(-1).double()
    group_A = _search(mass_AG, noise_A)
    here_A1 = group_A[:, None]
    before_A1 = mass_AG.cumsum(-1).gather(-1, here_A1) - mass_AG.gather(-1, here_A1)
    rest_A1 = (noise_A[:, None] * mass_AG.sum(-1, keepdim=True) - before_A1) / mass_AG.gather(-1, here_A1)
    p_AW = p_AGW[torch.arange(len(p_AV), device=p_AV.device), group_A].double()
    return group_A * GROUP + _search(p_AW, rest_A1.squeeze(-1).clamp(min=0))


def _survivors(ended_A: Tensor) -> Tensor:
    """Rows that go on, the last ones moved into the gaps: few rows of the cache then change place."""
    alive = torch.nonzero(~ended_A).squeeze(-1)
    n = len(alive)
    rows = torch.arange(n, device=alive.device)
    rows[ended_A[:n]] = alive[alive >= n]
    return rows


class _Decoder:
    """A model that continues the rollouts still alive, one token a call.

    Where every layer attends to everything, the cache is the roomy one and the mask is prepared once; any
    other model (sliding windows, linear attention, flash kernels) gets the cache and the masks of its own.
    """

    logits_AV: Tensor
    """Of the next token."""

    def __init__(self, model: PreTrainedModel, prompts: Prompts, max_new_tokens: int) -> None:
        self._model = model
        # Any: its stubs ask for LongTensor, which no torch function is typed to return
        self._cache: Any = DynamicCache(config=model.config)
        uniform = all(type(layer) is DynamicLayer for layer in self._cache.layers)
        # transformers has no public name for what its own mask functions read
        attention = model.config._attn_implementation  # pyright: ignore[reportPrivateUsage]
        prepared = uniform and attention in ("sdpa", "eager")
        if prepared:
            self._cache.layers = [_RoomyLayer() for _ in self._cache.layers]
        prefill = model(**prompts.inputs(model), cache=self._cache, use_cache=True, logits_to_keep=1)
        prompt_of_B, mask_PL = prompts.row_of_B, prompts.mask_QL
        self._cache.reorder_cache(prompt_of_B)
        self.logits_AV = prefill.logits[:, -1][prompt_of_B]
        self._position_A = prompts.after_B
        self._length = mask_PL.shape[1]
        mask_AW = torch.nn.functional.pad(mask_PL, (0, max_new_tokens), value=True)[prompt_of_B]
        self._mask = _additive(mask_AW, model.dtype) if prepared else mask_AW.long()

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows, in this order."""
        self._cache.reorder_cache(rows)
        self._position_A = self._position_A[..., rows]
        self._mask = self._mask[rows]

    def advance(self, ids_A: Tensor) -> None:
        """Append one token to each rollout; ``logits_AV`` then predicts the next."""
        self._length += 1
        output = self._model(
            ids_A[:, None],
            attention_mask=self._mask[..., : self._length],
            position_ids=self._position_A[..., None],
            cache=self._cache,
            use_cache=True,
        )
        self.logits_AV = output.logits[:, -1]
        self._position_A = self._position_A + 1


def _additive(mask_AW: Tensor, dtype: torch.dtype) -> Tensor:
    """A mask of one query, [A, 1, 1, W]: 0 where it attends, the smallest number elsewhere."""
    bias_AW = torch.zeros(mask_AW.shape, dtype=dtype, device=mask_AW.device)
    return bias_AW.masked_fill(~mask_AW, torch.finfo(dtype).min)[:, None, None]


class _RoomyLayer(DynamicLayer):
    """Keys and values of one layer with room to grow; ``DynamicLayer`` copies all of them at every token."""

    ROOM = 32
    """Tokens of room made at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._buffers: tuple[Tensor, ...] = ()
        self._length = 0

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Append, and return everything so far."""
        new = (key_states, value_states)
        start, self._length = self._length, self._length + key_states.shape[-2]
        if start == 0:
            self._buffers = new
            self.is_initialized = True
        else:
            if self._length > self._buffers[0].shape[-2]:
                self._make_room(torch.arange(len(key_states), device=key_states.device), start)
            for buffer, states in zip(self._buffers, new, strict=True):
                buffer[:, :, start : self._length] = states
        self.keys, self.values = (buffer[:, :, : self._length] for buffer in self._buffers)
        return self.keys, self.values

    def get_seq_length(self) -> int:
        """Tokens held."""
        return self._length

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Keep these rows, in this order; unless the batch grows, in place and only what moves."""
        n = len(beam_idx)
        if n > len(self._buffers[0]):
            self._make_room(beam_idx, self._length)
            return
        moved = torch.nonzero(beam_idx != torch.arange(n, device=beam_idx.device)).squeeze(-1)
        for buffer in self._buffers:
            used = buffer[:, :, : self._length]
            used[moved] = used[beam_idx[moved]]
        self._buffers = tuple(buffer[:n] for buffer in self._buffers)

    def _make_room(self, rows: Tensor, used: int) -> None:
        """New buffers with these rows of the ``used`` tokens and room for more."""
        old, self._buffers = self._buffers, ()
        for states in old:
            _, heads, _, width = states.shape
            buffer = states.new_empty(len(rows), heads, self._length + self.ROOM, width)
            torch.index_select(states[:, :, :used], 0, rows, out=buffer[:, :, :used])
            self._buffers += (buffer,)


def eos_ids(reader: Reader, model: PreTrainedModel | None = None) -> list[int]:
    """What ends a response: the reader's own first, then those of the model's ``generation_config``.

    Raises:
        HarnessError: there is none.
    """
    extra: Any = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    listed: list[Any] = [reader.eos_id, *(extra if isinstance(extra, (list, tuple)) else [extra])]
    ids: list[int] = list(dict.fromkeys(i for i in listed if i is not None))
    if not ids:
        raise HarnessError(
            "the tokenizer and the model's generation_config name no EOS: a response needs an end; "
            "set tokenizer.eos_token"
        )
    return ids


def _check(
    examples: Sequence[Example],
    prompts: Prompts,
    rollouts_per_prompt: int,
    max_new_tokens: int,
    temperature: float,
    top_p: float,
) -> None:
    if len(examples) != len(prompts.ids_QL):
        raise HarnessError(f"{len(examples)} examples and {len(prompts.ids_QL)} prompts: each example needs a prompt")
    if rollouts_per_prompt < 1 or max_new_tokens < 1 or temperature < 0 or not 0 < top_p <= 1:
        raise HarnessError(
            f"rollouts_per_prompt={rollouts_per_prompt}, max_new_tokens={max_new_tokens}, temperature="
            f"{temperature}, top_p={top_p}: counts must be >= 1, temperature >= 0, top_p in (0, 1]"
        )
