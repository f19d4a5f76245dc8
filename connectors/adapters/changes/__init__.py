"""The change system: configuration of services in production."""
