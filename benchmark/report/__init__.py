"""Pages about one run or two, without a board: numbers, controls, and pictures of the worst moments."""
