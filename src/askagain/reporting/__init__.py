"""Reports that one opens in a browser: of a run, of several runs beside each other, and of a leaderboard."""
