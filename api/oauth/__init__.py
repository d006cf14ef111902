"""Our OAuth 2 and OpenID Connect authorization server: Authlib's framework-neutral core with our clients and tokens."""
