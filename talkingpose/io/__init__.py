"""Input and output shared by all packages: errors, console, progress, atomic files, documents."""
