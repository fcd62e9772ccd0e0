"""A training run: its recipe, its losses and optimizers, its steps, its checkpoints and its validation.

May import `training.networks`, `training.data` and `training.measure`. Files that users run are made in
`training.release`.
"""
