"""What runs a generator: an engine turns pixels into more pixels, on one device at one precision."""
