"""A payment provider that speaks Stripe's wire API, for development and fault tests."""
