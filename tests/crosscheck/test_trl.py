"""Where objectives coincide, the harness against TRL 1.16's own loss functions: same weights, same rollouts.

TRL's functions are called, not its trainers, except where what is in question is the trainer's count of tokens.
A trainer's method that computes a loss is called on a stand-in that holds the settings it reads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from crosscheck.batches import (
    BATCHES,
    Record,
    flat_gradient,
    losses_and_gradients,
    method_with,
    off_policy,
    reduced,
)
from support.small import SMALL, policies, tiny
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from harness.losses import divergences
from harness.losses.objectives import Divergence, Support, Tail
from harness.training.step import Batch
from harness.types import PLAIN, PRIVILEGED, Policy, Reduction

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
trl = pytest.importorskip("trl", reason="TRL is not installed: pip install 'dopd-bench[crosscheck]'")
if trl.__version__ != "1.16.0":
    pytest.skip(f"TRL {trl.__version__}: the comparisons are with 1.16.0", allow_module_level=True)

from trl.experimental.gkd import GKDConfig, GKDTrainer  # noqa: E402
from trl.experimental.sdft import loss_utils  # noqa: E402
from trl.experimental.sdft.sdft_trainer import SDFTTrainer  # noqa: E402
from trl.experimental.sdpo.sdpo_trainer import SDPOTrainer  # noqa: E402
from trl.trainer.distillation_trainer import _chunked_divergence_loss  # noqa: E402

TOLERANCE = 1e-5
"""Relative; TRL's chunked kernel computes in float32, and so do rotary embeddings of shifted positions."""
FLOAT64 = 1e-10
"""Relative, where all of TRL's side runs in float64 too."""
BETAS = {Divergence.FORWARD_KL: 0.0, Divergence.REVERSE_KL: 1.0, Divergence.JS: 0.3}
"""TRL's beta (and alpha) of each divergence; JS off the middle, where swapped sides would show."""


def apart(ours: Tensor, theirs: Tensor) -> float:
    """Norm of the difference over the norm."""
    return float((ours - theirs).norm() / theirs.norm())


def full_logits(model: PreTrainedModel, batch: Batch, context: str) -> list[Tensor]:
    """Logits that predict each response token, [|y|, V] per rollout: one whole forward pass each."""
    prompts, out = batch.contexts[context], []
    for b, mask_T in enumerate(batch.rollouts.mask_BT):
        row = prompts.row_of_B[b]
        prompt = prompts.ids_QL[row][prompts.mask_QL[row]]
        ids = torch.cat([prompt, batch.rollouts.response_ids_BT[b][mask_T]])
        out.append(model(input_ids=ids[None], use_cache=False).logits[0, len(prompt) - 1 : -1])
    return out


def last_hidden(model: PreTrainedModel, batch: Batch) -> Tensor:
    """Last hidden states that predict each response token, [B, T, D], 0 where padded."""
    seen: list[Tensor] = []
    handle = model.get_output_embeddings().register_forward_pre_hook(lambda _, args: seen.append(args[0][0]))
    full_logits(model, batch, PLAIN)
    handle.remove()
    lengths = batch.rollouts.mask_BT.sum(-1).tolist()
    return pad_sequence([h[-n - 1 : -1] for h, n in zip(seen, lengths, strict=True)], batch_first=True)


def settle(
    what: str,
    against: str,
    record: Record,
    ours: tuple[list[float], list[Tensor]],
    theirs: Tensor,
    student: PreTrainedModel,
    tolerance: float = TOLERANCE,
) -> None:
    """Differentiate TRL's loss, compare loss and gradient with the harness's, and keep what was measured."""
    theirs.backward()
    loss = theirs.item()
    value = abs(ours[0][0] - loss) / abs(loss)
    gradient = apart(ours[1][0], flat_gradient(student))
    record(what, against, value, gradient)
    assert value < tolerance
    assert gradient < tolerance


# DistillationTrainer


@pytest.mark.parametrize("divergence", list(BETAS))
def test_distillation_trainer(divergence: Divergence, record: Record) -> None:
    """The chunked kernel, forward and backward, against GKD at each divergence: full vocabulary, mean over tokens."""
    method, models = method_with("gkd", {"divergence": divergence, "beta": 0.3}), policies()
    student, teacher = models[Policy.STUDENT], models[Policy.TEACHER]
    batch = off_policy(method, student)
    ours = losses_and_gradients(method, models, batch)
    loss, _, count = _chunked_divergence_loss(
        last_hidden(student, batch),
        last_hidden(teacher, batch),
        student.get_output_embeddings().weight,
        teacher.get_output_embeddings().weight,
        batch.rollouts.mask_BT,
        BETAS[divergence],
    )
    assert int(count) == int(batch.rollouts.mask_BT.sum())
    settle(f"gkd, {divergence}", "`DistillationTrainer` kernel", record, ours, loss, student)


# SDFT and SDPO: token losses


@pytest.mark.parametrize("tail", [Tail.TAIL, Tail.RENORM, None])
@pytest.mark.parametrize("divergence", list(BETAS))
def test_self_distillation_divergences(divergence: Divergence, tail: Tail | None, record: Record) -> None:
    """alpha by top-k with tail, top-k rescaled, and full vocabulary, on the same logits."""
    generator = torch.Generator().manual_seed(3)
    z_NV, zt_NV = (3 * torch.randn(40, 24, generator=generator, dtype=torch.float64) for _ in range(2))
    alpha, k = BETAS[divergence], SMALL["k"]
    results = []
    for theirs in (False, True):
        leaf_NV = z_NV.clone().requires_grad_()
        if theirs and tail is None:
            loss_N = loss_utils.compute_full_logit_self_distillation_loss(leaf_NV, zt_NV, distillation_alpha=alpha)
        elif theirs:
            loss_N = loss_utils.compute_topk_self_distillation_loss(
                leaf_NV,
                zt_NV,
                distillation_topk=k,
                distillation_alpha=alpha,
                distillation_add_tail=tail is Tail.TAIL,
            )
        else:
            q_NV, t_NV = leaf_NV.log_softmax(-1), zt_NV.log_softmax(-1)
            loss_N = (
                divergences.full(q_NV, t_NV, divergence, beta=0.3)
                if tail is None
                else divergences.top_k(q_NV, t_NV, divergence, k=k, support=Support.STUDENT, tail=tail, beta=0.3)
            )
        weights_N = torch.linspace(0.5, 1.5, len(z_NV), dtype=torch.float64)
        (loss_N * weights_N).sum().backward()
        results.append((loss_N.detach(), leaf_NV.grad))
    value, gradient = (apart(a, b) for a, b in zip(*results, strict=True))
    support = {Tail.TAIL: "top-k, tail", Tail.RENORM: "top-k, renorm", None: "full"}[tail]
    record(f"{divergence}, {support}", "`sdft`/`sdpo` `loss_utils`", value, gradient)
    assert value < FLOAT64
    assert gradient < FLOAT64


def test_self_distillation_at_the_sampled_token(record: Record) -> None:
    """TRL's surrogate has the gradient of the harness's sampled reverse KL, and the value of its policy gradient."""
    method, models = method_with("vanilla_opd_sampled", {}), policies()
    student = models[Policy.STUDENT]
    batch = off_policy(method, student)
    _, gradients = losses_and_gradients(method, models, batch)
    q, t = (torch.cat(full_logits(models[p], batch, PLAIN)) for p in (Policy.STUDENT, Policy.TEACHER))
    ids_N1 = batch.rollouts.response_ids_BT[batch.rollouts.mask_BT][:, None]
    theirs_N = loss_utils.compute_sampled_token_self_distillation_loss(q, t, ids_N1.squeeze(-1), distillation_alpha=1.0)
    ours_N = divergences.policy_gradient(*(z.log_softmax(-1).gather(-1, ids_N1).squeeze(-1) for z in (q, t)))
    value = apart(ours_N.detach(), theirs_N.detach())
    lengths_B = batch.rollouts.mask_BT.sum(-1)
    weights_N = (1 / lengths_B.double() / len(lengths_B)).repeat_interleave(lengths_B)
    (theirs_N * weights_N).sum().backward()
    gradient = apart(gradients[0], flat_gradient(student))
    record("vanilla_opd_sampled", "`sampled_token` of `sdft`/`sdpo`", value, gradient)
    assert value < FLOAT64
    assert gradient < FLOAT64


# SDFT, SDPO, GRPO: batch losses through the trainers' own alignment, masks and means


def stand_in(settings: Mapping[str, Any], trainer: type, **attributes: Any) -> SimpleNamespace:
    """What the loss methods of SDFTTrainer and SDPOTrainer read of ``self``."""
    self = SimpleNamespace(
        args=SimpleNamespace(**settings),
        accelerator=SimpleNamespace(gather=lambda x: x),
        model_kwarg_keys=frozenset(),
        temperature=1.0,
        _get_teacher_context_for_self_distillation=torch.no_grad,
        _log_self_distillation_metric=lambda *_: None,
        **attributes,
    )
    self._forward_logits = partial(trainer._forward_logits, self)
    return self


def inputs_of(batch: Batch, context: str) -> dict[str, Tensor]:
    """The rollouts as TRL batches them: prompts padded on the left, responses on the right."""
    r = batch.rollouts
    plain, seen = batch.contexts[PLAIN], batch.contexts[context]
    mask_BT = r.mask_BT.long()
    inputs = {
        "prompt_ids": plain.ids_QL[plain.row_of_B],
        "prompt_mask": plain.mask_QL[plain.row_of_B].long(),
        "completion_ids": r.response_ids_BT,
        "completion_mask": mask_BT,
        "teacher_input_ids": torch.cat([seen.ids_QL[seen.row_of_B], r.response_ids_BT], dim=1),
        "teacher_attention_mask": torch.cat([seen.mask_QL[seen.row_of_B].long(), mask_BT], dim=1),
        "old_per_token_logps": r.logp_BT,
    }
    return inputs if seen.present_B is None else inputs | {"self_distillation_mask": seen.present_B.long()}


def trl_loss(trainer: type, self: SimpleNamespace, models: Mapping[Policy, PreTrainedModel], inputs: dict) -> Tensor:
    """The trainer's own forward passes, alignment, masks, token loss and mean."""
    student = models[Policy.STUDENT]
    logits = trainer._compute_teacher_student_logits(self, student, models[Policy.EMA], inputs)
    return trainer._compute_self_distillation_loss(self, student, inputs, logits)


@pytest.mark.parametrize("kind", BATCHES)
def test_sdft(kind: str, record: Record) -> None:
    """Forward KL over the vocabulary, the first three tokens skipped, mean over sequences, empty ones counted."""
    method, models = method_with("sdft", {}), policies()
    student = models[Policy.STUDENT]
    batch = BATCHES[kind](method, student)
    ours = losses_and_gradients(method, models, batch)
    settings = {"distillation_mode": "full_logits", "distillation_alpha": 0.0, "distillation_is_clip": None}
    self = stand_in(settings, SDFTTrainer, num_loss_tokens_to_skip=3)
    theirs = trl_loss(SDFTTrainer, self, models, inputs_of(batch, PRIVILEGED))
    settle("sdft", "`SDFTTrainer` (alpha 0, full, skip 3, no IS)", record, ours, theirs, student)


SDPO = {
    "distillation_mode": "topk_logits",
    "distillation_alpha": 0.5,
    "distillation_topk": SMALL["k"],
    "distillation_add_tail": True,
    "distillation_is_clip": 2.0,
}


def sdpo_sides(
    kind: str, reduction: Reduction
) -> tuple[tuple[list[float], list[Tensor]], Tensor, PreTrainedModel, Batch]:
    """Harness and TRL on one batch: JS, student's top-k, tail, ratio capped at 2."""
    method, models = reduced(method_with("sdpo", {}), reduction), policies()
    student = models[Policy.STUDENT]
    batch = BATCHES[kind](method, student)
    ours = losses_and_gradients(method, models, batch)
    self = stand_in(SDPO, SDPOTrainer)
    return ours, trl_loss(SDPOTrainer, self, models, inputs_of(batch, "feedback")), student, batch


@pytest.mark.parametrize("kind", BATCHES)
def test_sdpo(kind: str, record: Record) -> None:
    """Equal once the harness's SDPO is averaged as TRL's: within a sequence first, masked sequences counted as 0."""
    ours, theirs, student, _ = sdpo_sides(kind, Reduction.SEQ_MEAN)
    settle("sdpo, as seq-mean", "`SDPOTrainer` (alpha ½, top-k, tail, IS 2)", record, ours, theirs, student)


def test_sdpo_is_averaged_over_tokens_here_and_over_sequences_in_trl() -> None:
    """The authors' code and the harness average over the tokens of rollouts with feedback."""
    ours, theirs, _, _ = sdpo_sides("on-policy", Reduction.SELECTED_MEAN)
    assert abs(ours[0][0] - theirs.item()) / theirs.item() > 0.01


def test_grpo(record: Record) -> None:
    """TRL's clipped surrogate with ``loss_type="grpo"``, given our advantage: TRL's own adds 1e-4 to the deviation."""
    method, models = method_with("grpo", {}), policies()
    student = models[Policy.STUDENT]
    batch = off_policy(method, student)
    ours = losses_and_gradients(method, models, batch)
    reward_GR = batch.reward_B.double().view(2, 4)
    centred_GR = reward_GR - reward_GR.mean(1, keepdim=True)
    deviation_G1 = reward_GR.std(1, keepdim=True)
    self = SimpleNamespace(
        importance_sampling_level="token",
        epsilon_low=0.2,
        epsilon_high=0.2,
        loss_type="grpo",
        model=SimpleNamespace(training=True),
        accelerator=SimpleNamespace(gather=lambda x: x),
        _metrics={"train": {"self_distillation/policy_loss": []}},
    )
    inputs = inputs_of(batch, PLAIN) | {"advantages": (centred_GR / deviation_G1).flatten()}
    logits_BTV = pad_sequence(full_logits(student, batch, PLAIN), batch_first=True)
    theirs = SDPOTrainer._compute_policy_loss(self, inputs, logits_BTV)
    settle("grpo", "`SDPOTrainer` policy loss (`grpo`)", record, ours, theirs, student, FLOAT64)


# GKD and its token count


@pytest.mark.parametrize("divergence", list(BETAS))
def test_gkd(divergence: Divergence, record: Record) -> None:
    """``generalized_jsd_loss`` with the count of the tokens it sums over."""
    method, models = method_with("gkd", {"divergence": divergence, "beta": 0.3}), policies()
    student = models[Policy.STUDENT]
    batch = off_policy(method, student)
    ours = losses_and_gradients(method, models, batch)
    q, t = (
        pad_sequence(full_logits(models[p], batch, PLAIN), batch_first=True) for p in (Policy.STUDENT, Policy.TEACHER)
    )
    mask_BT = batch.rollouts.mask_BT
    labels_BT = batch.rollouts.response_ids_BT.masked_fill(~mask_BT, -100)
    theirs = GKDTrainer.generalized_jsd_loss(
        q, t.detach(), labels=labels_BT, beta=BETAS[divergence], num_items_in_batch=int(mask_BT.sum())
    )
    settle(
        f"gkd, {divergence}",
        "`GKDTrainer.generalized_jsd_loss`, count corrected",
        record,
        ours,
        theirs,
        student,
        FLOAT64,
    )


@pytest.fixture
def gkd_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What one on-policy step of the real GKDTrainer gave its loss function, and the loss it returned."""
    seen: dict[str, Any] = {}
    original: Callable[..., Tensor] = GKDTrainer.generalized_jsd_loss

    def spy(**given: Any) -> Tensor:
        seen.update(given, loss=original(**given))
        return seen["loss"]

    monkeypatch.setattr(GKDTrainer, "generalized_jsd_loss", staticmethod(spy))
    words = [f"w{i}" for i in range(20)]
    vocabulary = ["<pad>", "<eos>", "<user>", "<assistant>", *words]
    core = Tokenizer(WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token="<pad>"))
    core.pre_tokenizer = WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        eos_token="<eos>",
        padding_side="left",
        chat_template="{% for m in messages %}<{{ m.role }}> {{ m.content }} <eos> {% endfor %}"
        "{% if add_generation_prompt %}<assistant> {% endif %}",
    )
    from datasets import Dataset

    turns = [
        [{"role": "user", "content": f"w{i} w{i + 1} w{i + 2}"}, {"role": "assistant", "content": f"w{i} w{i + 3}"}]
        for i in range(4)
    ]
    student = tiny(0, dtype=torch.float32)
    student.generation_config.eos_token_id = None
    GKDTrainer(
        model=student,
        teacher_model=tiny(1, width=24, dtype=torch.float32),
        args=GKDConfig(
            output_dir=str(tmp_path),
            lmbda=1.0,
            max_steps=1,
            max_new_tokens=16,
            max_length=32,
            per_device_train_batch_size=4,
            learning_rate=0.0,
            bf16=False,
            gradient_checkpointing=False,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_dict({"messages": turns}),
        processing_class=tokenizer,
    ).train()
    return seen


@pytest.mark.filterwarnings("ignore")  # TRL names arguments that transformers has renamed
def test_trl_counts_the_tokens_of_the_data_set_not_those_it_generated(gkd_step: dict[str, Any]) -> None:
    """TRL 1.16 divides the sum over generated tokens by the labels of the data's assistant turns."""
    mask = gkd_step["labels"] != -100
    generated, counted = int(mask.sum()), int(gkd_step["num_items_in_batch"])
    assert (generated, counted) == (4 * 16, 4 * 3), "16 new tokens each; two words and the end of each assistant turn"
    q_NV, t_NV = (gkd_step[f"{side}_logits"][mask].log_softmax(-1) for side in ("student", "teacher"))
    ours = divergences.full(q_NV, t_NV, Divergence.JS).mean()
    assert float(gkd_step["loss"]) == pytest.approx(float(ours) * generated / counted, rel=1e-5)
