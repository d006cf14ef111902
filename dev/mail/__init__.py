"""A mail catcher: takes every mail by SMTP, delivers none, shows all of them."""
