"""Statistics of runs: intervals, drift, horizon, comparison."""
