"""How an open question's response is graded; needs nothing beside Python."""

from __future__ import annotations


def said(response: str) -> str | None:
    """The answer: what stands after the last ``!``; None if nothing does."""
    words = response.split()
    if "!" not in words[:-1]:
        return None
    return " ".join(words[len(words) - words[::-1].index("!") :]) or None


def is_right(answer: str, response: str) -> bool:
    """Whether the response ends in ``! <answer>``."""
    wanted = ["!", *answer.split()]
    return response.split()[-len(wanted) :] == wanted
