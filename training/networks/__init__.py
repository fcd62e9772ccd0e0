"""The networks of training: generators, discriminators, frozen feature networks and the teacher.

Here are their layers, their weights' first values and their plain forms. Nothing here knows data, losses or runs.
"""
