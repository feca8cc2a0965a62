"""Portrait and driving video to a film: the work behind `tp-animate`."""
