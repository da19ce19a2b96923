"""C beside Python: libraries that are compiled on this machine, and what those of this room do with texts.

`library.py` compiles, keeps and loads them; `texts.c` and `texts.py` number tokens, collect the ids of texts and add up
rows. `askagain.training.kernels` has what training does in C. `idle_threads.py` quiets a library's own threads.
"""
