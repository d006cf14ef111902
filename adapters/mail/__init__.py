"""Mails: texts and SMTP."""
