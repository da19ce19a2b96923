"""Fused kernels: what a step of training does in several passes over memory, in one.

Each does what some readable lines of PyTorch do, which stand beside its call and take over where it cannot be had.
`choice.py` says which are in use, `native.py` and `native.c` have those for processors, `gpu.py` those for CUDA, in
Triton, which comes with PyTorch there; `graphs.py` launches those of a step at once.
"""
