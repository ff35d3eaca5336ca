"""Strips of tokens: what stands in a box."""

from __future__ import annotations

from harness.show.looks import Look
from harness.show.tokens import Strip, Token, strips


def test_a_character_that_no_font_draws_is_a_dot() -> None:
    """Byte-level tokens are such: each drawing warned, and the box was empty."""
    token = Token(text="a\x1f\x7f é", label="HT", gap=0.1, q_teacher=0.5, q_student=0.5, right=None)
    figure = strips([Strip(title="s", tokens=(token,))], looks={"HT": Look(colour="#009E73")}, title="t", caption="c")
    assert "a·· é" in [text.get_text() for ax in figure.axes for text in ax.texts]
