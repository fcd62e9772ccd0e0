"""Makes the models that `fastsr` runs: `python -m training COMMAND`.

The packages, each of which may import only those before it: `networks`, `data`, `measure`, `learning`, `release`.
`fastsr` itself never imports this package.
"""
