"""The embedding bag with sparse gradients, the optimizer of its table, learning-rate schedules."""
