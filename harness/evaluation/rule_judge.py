"""A judge by rules, in the place of the model that some scorers of VLMEvalKit ask. No torch."""

from __future__ import annotations

import re

MARKS = ("Answer: <start>\n", "Model respone: ", "Free-form answer: ")
"""Behind the last of these (LogicVista, MathVision, DynaMath; their spelling) a scorer quotes the reply to be read."""
ENDS = ("\n<end>\nYour output:", "Extracted answer:", "\nInstruction: ")
LETTERS_ONLY = "Your output:"
"""A prompt that ends so (LogicVista) wants option letters, Z for none."""
SAID = re.compile(r"(?:\\boxed\{|answer is:?\s*|answer:\s*)\(?([A-Z]\b|-?\d+(?:\.\d+)?)", re.IGNORECASE)
ALONE = re.compile(r"(?<![\w.])(?:[A-Z]|-?\d+(?:\.\d+)?)(?!\w)")
"""An option letter or a number that stands alone."""


class RuleJudge:
    """Reads what is said to be the answer, else the last option letter or number that stands alone."""

    fail_msg = "Failed to obtain answer via API."
    system_prompt = ""

    def working(self) -> bool:
        """Always."""
        return True

    def generate(self, prompt: str, **_: object) -> str:
        """The answer in the reply that ``prompt`` quotes; empty, or Z for letters, if there is none."""
        reply = quoted(prompt)
        found = SAID.findall(reply) or ALONE.findall(reply)
        if not prompt.rstrip().endswith(LETTERS_ONLY):
            return found[-1] if found else ""
        letters = [each.upper() for each in found if each.isalpha()]
        return letters[-1] if letters else "Z"


def quoted(prompt: str) -> str:
    """The reply, of a scorer's prompt."""
    start = max(prompt.rfind(mark) + len(mark) if mark in prompt else 0 for mark in MARKS)
    ends = [place for end in ENDS if (place := prompt.rfind(end)) >= start]
    return prompt[start : min(ends, default=len(prompt))]
