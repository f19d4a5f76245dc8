"""The outside systems of the demo world: stateful, over real protocols, on loopback.

Not part of the product: nothing outside this folder and the tests imports it, and it needs the
development dependencies. `python -m connectors.sandbox --data DIR` runs all of it.
"""
