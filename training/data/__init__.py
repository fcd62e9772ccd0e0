"""What a network learns from: packed photographs, their degradation, a teacher's pairs, images that a script draws.

Here are the formats on disk and how crops of them are drawn. May import `training.networks` (the teacher's), no losses,
measures or runs.
"""
