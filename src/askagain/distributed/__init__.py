"""Several devices: collectives, the Lightning strategy, and how processes are launched.

Only sums of the loss and the gradient of a batch's vectors are communicated, never the table.
"""
