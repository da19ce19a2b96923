"""The console script `askagain`: what is done before and after training."""
