"""Runs, checkpoints and files on disk. No torch beyond safetensors."""
