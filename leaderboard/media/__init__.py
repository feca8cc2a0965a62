"""Videos and pictures of a site."""
