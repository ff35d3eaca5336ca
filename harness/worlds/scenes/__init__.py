"""The scenes world: questions about pictures whose two gaps are known per token. No torch.

A picture holds nine objects on a grid, each with a colour, a shape, a tick at one side and a lamp. A question asks
three items of one kind. Each item names a place, straight or by a rule (the *choice*), and asks what stands there
(the *reading*, a secret table of colour and shape). Boxes in p tell where, never what; codes of marked items stand in p
alone. All tables are secret and differ between draws (``tables``).
"""
