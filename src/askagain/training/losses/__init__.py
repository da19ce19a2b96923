"""Losses: each an `nn.Module` that takes vectors, which need not be normalized, and returns a scalar.

A loss of pairs is called as `loss(queries, positives, negatives=, groups=, world=)`, see `NTXentLoss.forward`. Write a
class with such a `forward`, name it as `_target_` in `configs/loss/mine.yaml`, and train with `loss=mine`. It may
ignore `world`: every rank then computes the same whole loss.
"""
