"""The console command ``dopd``: flags, what they select, and a function a verb. No torch."""
