"""Pages of a site, rendered from templates."""
