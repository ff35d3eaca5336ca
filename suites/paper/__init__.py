"""The paper's numbers, figures and claims."""
