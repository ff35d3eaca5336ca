"""What a method may import: objectives, divergences, token views."""
