"""Reports on a run: explain, pages, calibration, estimates."""
