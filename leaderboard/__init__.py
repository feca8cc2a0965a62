"""From runs to a page."""
