"""Videos from a portrait and driving poses: the work of `tp-animate`."""
