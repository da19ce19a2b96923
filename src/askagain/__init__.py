"""askagain finds the question that was already asked."""
