"""The permutations world: digits acted on by secret operations; who is right on which cell is set. No torch.

x is ``<domain> <v0>`` and seven slots ``[selector, mark, op_a, op_b]`` (unused slots are dots). The response is one
``[A|B, op, note, result]`` per used slot, then ``! answer``. A running digit starts at v0; the domain's rule says which
of the slot's two operations acts on it (the *choice*), and each operation is a secret permutation of the ten digits
(the *result*: operation and digit, a table shared by all domains, so that executing carries over and choosing does
not). Hints tell choices, never results; codes of marked slots stand in p alone. Tables differ between draws.

- general: a secret table, letter and running digit;
- reasoning: A if the number of one-bits from this slot to the last is even, else B;
- coding: B if the running digit is below the slot's threshold, else A.
"""
