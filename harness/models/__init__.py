"""How a model is found, told, called and sampled: the only room that imports transformers to do so."""
