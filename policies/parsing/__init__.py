"""YAML in, typed document out, or every mistake with its place and remedy."""
