"""Training of the reference model and of its autoencoder: the work of `tp-train`."""
