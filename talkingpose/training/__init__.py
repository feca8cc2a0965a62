"""Training: the recipe of the reference model, from frame pairs to a checkpoint."""
