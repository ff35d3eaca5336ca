"""Where problems, privileged input and grades come from. No torch."""
