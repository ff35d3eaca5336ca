"""Pictures through reader, sampler, scorer and gradient, against the library's own forward pass; what is refused."""

from __future__ import annotations

import copy
import gc
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from support import picture_world, tiny_world
from support.picture_world import PROFILE, PictureWorld
from torch import Tensor
from transformers import PreTrainedModel

from harness.config import ModelSpec
from harness.models import image_reader, load, media, sight
from harness.models.forward import check_logits, logits_layer, response_hidden, score
from harness.models.image_reader import ImageReader
from harness.models.prompts import Prompts, render
from harness.models.reader import TextReader
from harness.models.sampler import RolloutBatch, sample
from harness.types import Example, HarnessError, ImagePart, Message, TextPart, Want
from harness.worlds import pictures

EXAMPLES = PictureWorld().examples(PROFILE.data, "train", 6)
"""One picture, then two or three, in turn; half of them with a system turn."""
LOGP = frozenset({Want.LOGP})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pair")
    picture_world.save_pair(path)
    return path


@pytest.fixture
def student(folder: Path) -> PreTrainedModel:
    return load.load(ModelSpec(name=str(folder / "student")))


@pytest.fixture
def reader(folder: Path) -> ImageReader:
    found = load.load_reader(ModelSpec(name=str(folder / "student")))
    assert isinstance(found, ImageReader)
    return found


def written(model: PreTrainedModel, reader: ImageReader, prompts: Prompts, *, n: int = 2) -> RolloutBatch:
    generator = torch.Generator().manual_seed(0)
    return sample(model, reader, EXAMPLES, prompts, rollouts_per_prompt=n, max_new_tokens=9, generator=generator)


def scored(model: PreTrainedModel, batch: RolloutBatch, prompts: Prompts, *, microbatch: int = 64) -> Tensor:
    given = (batch.response_ids_BT, batch.mask_BT)
    found = score(model, prompts, *given, wants=LOGP, temperature=1.0, microbatch=microbatch).logp_BT
    assert found is not None
    return found


def stock(model: PreTrainedModel, prompts: Prompts, batch: RolloutBatch, b: int) -> Tensor:
    """Log-probabilities of rollout b by the library alone: pixels, one row, no cache, places of its own finding."""
    q, token = int(prompts.row_of_B[b]), model.config.image_token_id
    prompt, response = prompts.ids_QL[q][prompts.mask_QL[q]], batch.response_ids_BT[b][batch.mask_BT[b]]
    ids = torch.cat([prompt, response])[None]
    kinds = torch.cat([prompt == token, torch.zeros_like(response, dtype=torch.bool)])[None].int()
    held = prompts.media.pictures[q]
    model.model.rope_deltas = None
    features = model.model.get_image_features(
        torch.cat([p.patches_nC for p in held]), torch.tensor([p.grid for p in held]), return_dict=True
    )
    # An untrained model may write the token of a picture: it is a word there, which the library would count.
    words = model.get_input_embeddings()(ids)
    words[kinds == 1] = torch.cat(features.pooler_output)
    places, _ = model.model.get_rope_index(ids, kinds, torch.tensor([p.grid for p in held]))
    out = model.model.language_model(
        inputs_embeds=words,
        position_ids=places,
        visual_pos_masks=kinds == 1,
        deepstack_visual_embeds=[torch.cat(f) for f in features.deepstack_features],
        use_cache=False,
    )
    logp = logits_layer(model)(out.last_hidden_state[0]).log_softmax(-1)[len(prompt) - 1 : -1]
    return logp.gather(-1, response[:, None]).squeeze(-1)


def test_the_config_decides_who_reads(folder: Path, reader: ImageReader, tmp_path: Path) -> None:
    assert type(load.load(ModelSpec(name=str(folder / "teacher")))).__name__ == "Qwen3VLForConditionalGeneration"
    tiny_world.save_pair(tmp_path)
    text = ModelSpec(name=str(tmp_path / "student"))
    assert type(load.load_reader(text)) is TextReader and type(load.load(text)).__name__ == "Qwen3ForCausalLM"
    prompts = render(reader, EXAMPLES)
    assert [len(each) for each in prompts.media.pictures] == [1, 2, 1, 3, 1, 3]
    assert len(set(prompts.lengths)) > 3 and len({p.grid for each in prompts.media.pictures for p in each}) == 3


def test_words_alone_are_read_as_a_text_reader_reads_them(student: PreTrainedModel, reader: ImageReader) -> None:
    turns: list[Message] = [{"role": "user", "content": "the colour"}]
    parts: list[Message] = [{"role": "user", "content": (TextPart("the "), TextPart("colour"))}]
    plain = TextReader(reader.tokenizer).prompts([turns, turns])
    for asked in (turns, parts):
        found = reader.prompts([asked, turns])
        assert torch.equal(found.ids_QL, plain.ids_QL) and found.media is None
    check_logits(student)


@pytest.mark.parametrize("kind", ["none", "where", "close", "instead"])
def test_places_are_the_librarys_own(kind: str, student: PreTrainedModel, reader: ImageReader) -> None:
    prompts = render(reader, EXAMPLES, kind)
    kinds = (prompts.ids_QL == reader.eye.image_token_id).int()
    grids = torch.tensor([p.grid for each in prompts.media.pictures for p in each])
    theirs, delta = student.model.get_rope_index(
        prompts.ids_QL, kinds, image_grid_thw=grids, attention_mask=prompts.mask_QL.long()
    )
    ours = prompts.inputs(student)["position_ids"]
    assert ours.shape == (4, *prompts.ids_QL.shape)
    assert torch.equal(ours[1:], theirs)
    assert torch.equal(prompts.after_B[0], prompts.mask_QL.sum(-1))
    assert torch.equal(prompts.after_B[1:], (prompts.mask_QL.sum(-1) + delta[:, 0]).expand(3, -1))


@pytest.mark.parametrize("kind", ["none", "where", "close", "instead"])
def test_sampler_and_scorer_agree_with_the_librarys_forward(
    kind: str, student: PreTrainedModel, reader: ImageReader
) -> None:
    prompts = render(reader, EXAMPLES, kind)
    batch = written(student, reader, prompts)
    logp_BT = scored(student, batch, batch.prompts, microbatch=5)
    torch.testing.assert_close(logp_BT, batch.logp_BT, atol=1e-4, rtol=0)
    with torch.no_grad():
        for b, mask_T in enumerate(batch.mask_BT):
            expected = stock(student, batch.prompts, batch, b)
            torch.testing.assert_close(batch.logp_BT[b][mask_T], expected, atol=1e-4, rtol=0)
    assert len({int(n) for n in batch.mask_BT.sum(-1)}) > 1, "lengths are mixed"


def test_a_picture_makes_a_difference(student: PreTrainedModel, reader: ImageReader) -> None:
    prompts = render(reader, EXAMPLES)
    batch = written(student, reader, prompts)
    other = render(reader, EXAMPLES, "instead").continued_by(batch.prompt_of_B)
    assert (scored(student, batch, other) - batch.logp_BT).abs().max() > 0.1


def test_padding_and_rows_change_nothing(student: PreTrainedModel, reader: ImageReader) -> None:
    prompts = render(reader, EXAMPLES)
    batch = written(student, reader, prompts)
    wide = Prompts(
        ids_QL=torch.nn.functional.pad(prompts.ids_QL, (3, 0)),
        mask_QL=torch.nn.functional.pad(prompts.mask_QL, (3, 0)),
        row_of_B=batch.prompt_of_B,
        media=prompts.media,
    )
    given = (batch.response_ids_BT,)
    with torch.no_grad():
        straight = response_hidden(student, batch.prompts, *given)
        torch.testing.assert_close(response_hidden(student, wide, *given), straight, atol=1e-5, rtol=1e-5)
        rows = torch.tensor([9, 2, 7, 0])
        part = response_hidden(student, batch.prompts.select(rows), batch.response_ids_BT[rows])
    torch.testing.assert_close(part, straight[rows], atol=1e-5, rtol=1e-5)


def test_what_another_batch_left_on_the_module_is_not_read(student: PreTrainedModel, reader: ImageReader) -> None:
    prompts = render(reader, EXAMPLES)
    clean = written(student, reader, prompts)
    student.model.rope_deltas = torch.full((len(EXAMPLES), 1), 17)
    again = written(student, reader, prompts)
    assert torch.equal(again.response_ids_BT, clean.response_ids_BT) and torch.equal(again.logp_BT, clean.logp_BT)
    assert torch.equal(scored(student, again, again.prompts), scored(student, clean, clean.prompts))
    assert int(student.model.rope_deltas[0]) == 17, "nor written"


# Features, and when they are made.


@pytest.fixture
def encodings(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Pictures of every call of a tower, in order."""
    calls: list[int] = []
    honest = media._encoded

    def counted(model: PreTrainedModel, given: Sequence[media.Picture]) -> Any:
        calls.append(len(given))
        return honest(model, given)

    monkeypatch.setattr(media, "_encoded", counted)
    yield calls


def test_each_policy_looks_once_at_each_picture(
    student: PreTrainedModel, reader: ImageReader, folder: Path, encodings: list[int]
) -> None:
    teacher = load.load(ModelSpec(name=str(folder / "teacher"))).requires_grad_(False)
    prompts = render(reader, EXAMPLES)
    batch = written(student, reader, prompts)
    held = sum(map(len, prompts.media.pictures))
    assert encodings == [held], "sampling"
    hinted = render(reader, EXAMPLES, "where").continued_by(batch.prompt_of_B)
    for model in (student, teacher):
        for view in (batch.prompts, hinted):
            scored(model, batch, view, microbatch=64)
    assert encodings == [held, held], "two views of two policies"
    closer = render(reader, EXAMPLES, "close").continued_by(batch.prompt_of_B)
    scored(teacher, batch, closer)
    assert encodings == [held, held, len(EXAMPLES)], "what is new alone"


def test_features_that_are_reused_are_those_that_are_not(student: PreTrainedModel, reader: ImageReader) -> None:
    prompts = render(reader, EXAMPLES)
    batch = written(student, reader, prompts)
    reused = scored(student, batch, batch.prompts)
    for each in (p for pair in prompts.media.pictures for p in pair):
        each.seen.clear()
    torch.testing.assert_close(scored(student, batch, batch.prompts), reused, atol=1e-6, rtol=0)


def stepped(model: PreTrainedModel) -> None:
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    optimiser.step()


@torch.no_grad()
def averaged(model: PreTrainedModel) -> None:
    for weight in model.parameters():
        weight.lerp_(torch.zeros_like(weight), 0.5)


def loaded(model: PreTrainedModel) -> None:
    model.load_state_dict({name: 0.5 * weight for name, weight in model.state_dict().items()})


@pytest.mark.parametrize("moved", [stepped, averaged, loaded])
def test_weights_that_moved_look_again(
    moved: Callable[[PreTrainedModel], None], student: PreTrainedModel, reader: ImageReader
) -> None:
    """A fused optimiser step leaves autograd's counter of changes where it was: trusting it would be silently stale."""
    prompts = render(reader, EXAMPLES)
    batch = written(student, reader, prompts)
    before = scored(student, batch, batch.prompts)
    moved(student)
    after = scored(student, batch, batch.prompts)
    other = render(ImageReader(reader.tokenizer, reader.image_processor, reader.eye), EXAMPLES)
    fresh = scored(student, batch, other.continued_by(batch.prompt_of_B))
    torch.testing.assert_close(after, fresh, atol=1e-6, rtol=0)
    assert (after - before).abs().max() > 1e-2


def test_another_optimiser_leaves_a_frozen_model_alone(
    student: PreTrainedModel, reader: ImageReader, encodings: list[int]
) -> None:
    frozen = copy.deepcopy(student).requires_grad_(False)
    batch = written(frozen, reader, render(reader, EXAMPLES))
    stepped(student)
    scored(frozen, batch, batch.prompts)
    assert len(encodings) == 1


def gradients(model: PreTrainedModel, loss: Tensor) -> list[Tensor]:
    model.zero_grad(set_to_none=True)
    loss.backward()
    return [torch.zeros_like(w) if w.grad is None else w.grad.clone() for w in model.parameters()]


def test_the_gradient_of_the_tower_is_the_librarys(student: PreTrainedModel, reader: ImageReader) -> None:
    """One encoding for all rollouts of a picture, made with a graph although features without one are at hand."""
    prompts = render(reader, EXAMPLES)
    batch = written(student, reader, prompts)
    response = (batch.response_ids_BT, batch.mask_BT)
    hidden_BTD = response_hidden(student, batch.prompts, response[0])
    logp_BT = logits_layer(student)(hidden_BTD).log_softmax(-1).gather(-1, response[0][..., None]).squeeze(-1)
    ours = gradients(student, logp_BT[response[1]].sum())
    theirs = gradients(student, torch.cat([stock(student, batch.prompts, batch, b) for b in range(12)]).sum())
    names = [name for name, _ in student.named_parameters()]
    for name, mine, other in zip(names, ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, atol=2e-4, rtol=2e-3, msg=lambda text, name=name: f"{name}: {text}")
    tower = [g for name, g in zip(names, ours, strict=True) if ".visual." in name]
    assert sum(float(g.abs().sum()) > 0 for g in tower) > len(tower) // 2


def test_a_backward_pass_looks_once_and_a_frozen_tower_not_at_all(
    student: PreTrainedModel, reader: ImageReader, encodings: list[int]
) -> None:
    batch = written(student, reader, render(reader, EXAMPLES))
    held = encodings.pop()
    response_hidden(student, batch.prompts, batch.response_ids_BT).sum().backward()
    assert encodings == [held]
    student.model.visual.requires_grad_(False)
    scored(student, batch, batch.prompts)
    seen = len(encodings)
    response_hidden(student, batch.prompts, batch.response_ids_BT).sum().backward()
    assert len(encodings) == seen


@pytest.mark.slow
def test_pictures_and_features_go_with_their_prompts(student: PreTrainedModel, reader: ImageReader) -> None:
    """Without the collector of cycles: what a run computes must not depend on when that comes by."""
    gc.collect()
    gc.disable()
    try:
        batch = written(student, reader, render(reader, EXAMPLES))
        assert len(reader._alive) == 11
        response_hidden(student, batch.prompts, batch.response_ids_BT).sum().backward()
        del batch
        assert len(reader._alive) == 0
    finally:
        gc.enable()


def test_many_patches_are_encoded_in_parts(
    student: PreTrainedModel, reader: ImageReader, encodings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = written(student, reader, render(reader, EXAMPLES))
    monkeypatch.setattr(media, "PATCHES", 40)
    other = ImageReader(reader.tokenizer, reader.image_processor, reader.eye)
    again = written(student, other, render(other, EXAMPLES))
    assert len(encodings) > 4 and sum(encodings[1:]) == encodings[0]
    torch.testing.assert_close(again.logp_BT, whole.logp_BT, atol=1e-5, rtol=0)


# Saved and loaded again.


def test_a_saved_folder_is_read_the_same(student: PreTrainedModel, reader: ImageReader, tmp_path: Path) -> None:
    student.save_pretrained(tmp_path / "again")
    reader.save(tmp_path / "again")
    again = load.load_reader(ModelSpec(name=str(tmp_path / "again")))
    assert isinstance(again, ImageReader)
    sight.check_pair(reader, again)
    ours, theirs = (render(each, EXAMPLES) for each in (reader, again))
    assert torch.equal(ours.ids_QL, theirs.ids_QL)
    own = ImageReader(reader.tokenizer, reader.image_processor, reader.eye)
    own.save(tmp_path / "again")
    sight.check_pair(reader, load.load_reader(ModelSpec(name=str(tmp_path / "again"))))


def test_records_of_a_whole_processor_are_kept_as_they_were(folder: Path, tmp_path: Path) -> None:
    """What a stock processor needs and this reader does not: the part for films."""
    shutil.copytree(folder / "student", tmp_path / "whole")
    (tmp_path / "whole" / "video_preprocessor_config.json").write_text('{"of": "films"}')
    reader = load.load_reader(ModelSpec(name=str(tmp_path / "whole")))
    (tmp_path / "kept").mkdir()
    reader.save(tmp_path / "kept")
    assert (tmp_path / "kept" / "video_preprocessor_config.json").read_text() == '{"of": "films"}'
    assert (tmp_path / "kept" / "preprocessor_config.json").is_file()


# What is refused.


def turn(*parts: Any) -> list[Message]:
    return [{"role": "user", "content": parts}]


def drawn(width: int, height: int) -> ImagePart:
    from PIL import Image

    return pictures.part_of(Image.new("RGB", (width, height)), "drawn.png")


def test_more_picture_tokens_than_the_context_holds(reader: ImageReader) -> None:
    big = drawn(64, 64)
    message = (
        r"prompt of \d+ tokens, 192 of them of pictures, 64 of drawn\.png, exceeds the model's 128 positions .*fewer"
    )
    with pytest.raises(HarnessError, match=message):
        reader.prompts([turn(big, big, big)])


def test_a_picture_of_no_allowed_shape(reader: ImageReader) -> None:
    with pytest.raises(HarnessError, match=r"drawn\.png is refused by the model's image processor \(absolute aspect"):
        reader.prompts([turn(drawn(1000, 1))])


def test_the_token_of_a_picture_in_a_text(reader: ImageReader) -> None:
    with pytest.raises(HarnessError, match=r"makes 2 picture tokens of messages with 1 pictures: a text must not hold"):
        reader.prompts([turn(drawn(16, 16), TextPart(" <|image_pad|> "))])


def test_a_picture_where_the_template_shows_none(reader: ImageReader) -> None:
    system: Message = {"role": "system", "content": (drawn(16, 16),)}
    with pytest.raises(HarnessError, match="makes 0 picture tokens of messages with 1 pictures"):
        reader.prompts([[system, *turn(TextPart("the"))]])


@pytest.mark.parametrize(("name", "value"), [("patch_size", 8), ("merge_size", 1), ("temporal_patch_size", 1)])
def test_a_processor_of_another_model(name: str, value: int, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "student", tmp_path / "m")
    picture_world.change(tmp_path / "m", "preprocessor_config.json", **{name: value})
    with pytest.raises(
        HarnessError, match=r"has patch_size, temporal_patch_size and merge_size \(.*\), its model \(4, 2, 2"
    ):
        load.load_reader(ModelSpec(name=str(tmp_path / "m")))


def test_a_model_that_sees_without_a_processor(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "student", tmp_path / "m")
    (tmp_path / "m" / "preprocessor_config.json").unlink()
    with pytest.raises(HarnessError, match="could not be loaded"):
        load.load_reader(ModelSpec(name=str(tmp_path / "m")))


def test_a_tokenizer_of_another_picture_token(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "student", tmp_path / "m")
    picture_world.change(tmp_path / "m", "config.json", image_token_id=9)
    with pytest.raises(HarnessError, match=r"stands <\|image_pad\|> for a picture, id 5, its model id 9"):
        load.load_reader(ModelSpec(name=str(tmp_path / "m")))


def with_eye(reader: ImageReader, **changes: Any) -> ImageReader:
    other = copy.copy(reader)
    other.eye = image_reader.Eye(
        **{**{n: getattr(reader.eye, n) for n in ("image_token_id", "patch", "merge", "context")}, **changes}
    )
    return other


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_token_id": 6}, "the token of a picture is 5 to the student and 6 to the teacher"),
        (
            {"patch": (8, 2)},
            r"patch_size and temporal_patch_size is \(4, 2\) to the student and \(8, 2\) to the teacher",
        ),
        ({"merge": 1}, "merge_size is 2 to the student and 1 to the teacher"),
    ],
)
def test_a_pair_that_sees_in_two_ways(changes: dict[str, Any], message: str, reader: ImageReader) -> None:
    with pytest.raises(HarnessError, match=message):
        sight.check_pair(reader, with_eye(reader, **changes))


def test_a_pair_whose_processors_differ(reader: ImageReader) -> None:
    other = ImageReader(reader.tokenizer, picture_world.processor(image_mean=[0.4] * 3), reader.eye)
    with pytest.raises(HarnessError, match="make other numbers of a picture"):
        sight.check_pair(reader, other)
    sight.check_pair(reader, ImageReader(reader.tokenizer, picture_world.processor(), reader.eye))


def test_a_pair_of_which_one_is_blind(reader: ImageReader) -> None:
    text = TextReader(reader.tokenizer)
    with pytest.raises(HarnessError, match="the teacher reads text only and the other reads pictures"):
        sight.check_pair(reader, text)
    with pytest.raises(HarnessError, match="the student reads text only"):
        sight.check_pair(text, reader)
    sight.check_pair(text, text)


def test_a_model_is_seen_to_see(student: PreTrainedModel, reader: ImageReader, monkeypatch: pytest.MonkeyPatch) -> None:
    sight.check_seen(student, reader)
    sight.check_seen(student, TextReader(reader.tokenizer))
    honest = image_reader.places

    def flat(tokens: Sequence[bool], grids: Sequence[tuple[int, int]]) -> tuple[Tensor, int]:
        """As if a picture were text."""
        del grids
        return honest([False] * len(tokens), [])

    monkeypatch.setattr(image_reader, "places", flat)
    with pytest.raises(
        HarnessError, match=r"log-probabilities after a picture are off by .* nats from its own forward"
    ):
        sight.check_seen(student, reader)


def test_features_for_layers_that_are_not_there(student: PreTrainedModel, reader: ImageReader) -> None:
    student.config.vision_config.deepstack_visual_indexes = [0, 1, 1]
    with pytest.raises(HarnessError, match=r"makes features for 3 layers .* and it has 2, the rest would be dropped"):
        sight.check_seen(student, reader)


def test_a_text_reader_refuses_a_problem_with_pictures(reader: ImageReader) -> None:
    problem: Example = EXAMPLES[0]
    with pytest.raises(HarnessError, match="this model reads text only"):
        render(TextReader(reader.tokenizer), [problem])
