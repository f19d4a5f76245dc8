"""Past requests through another document."""
