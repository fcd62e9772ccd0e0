"""Work given to many machines, on Ray; see docs/cluster.md.

Here lives what gives work to workers (`pool`), what workers are, and images as work; segments of videos are work of
`fastsr.video`. The work itself is that of one machine, from the layers below; what is to be made callers decide.

Only `ray_import` imports Ray, and `upscale_many` on one machine needs none.
"""
