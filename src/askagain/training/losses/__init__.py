"""Losses: each an `nn.Module` that takes vectors of any length and returns a scalar.

A loss of pairs is called as `loss(queries, positives, negatives=, groups=, world=)`, see `NTXentLoss.forward`; write a
class with such a `forward`, name it in a config as `_target_`, and `train.py` trains with it.
"""
