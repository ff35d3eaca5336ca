"""Benchmarks and audits of a checkpoint: the only room with lm-eval."""
