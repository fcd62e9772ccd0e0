"""The networks of training: generators, discriminators and frozen feature networks.

Here are their layers, their weights' first values and their plain forms. Nothing here knows data, losses or runs.
"""
