"""The shared kernel: small, general modules every app may import. Nothing here knows the trail."""
