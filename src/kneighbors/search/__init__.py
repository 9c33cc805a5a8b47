"""Exact nearest-neighbour search: checked arrays in, (distances, indices) out.

`gate` is the only door for outside arrays; behind it nothing checks again. `index.ExactIndex`
answers. It knows nothing of ids, files or HTTP, and imports `kneighbors.errors` and numpy only.
"""
