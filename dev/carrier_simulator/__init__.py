"""A parcel carrier with an HTTP API and signed webhooks, for development and fault tests."""
