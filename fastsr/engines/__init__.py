"""What runs a generator: an engine turns pixels into more pixels, on one device at one precision.

`protocol` says what an engine is and `selection` which one runs; every runtime has a package or a module of its own,
imported when it is chosen. Nothing here knows images, videos or users' files: an engine gets a graph and pixels.
"""
