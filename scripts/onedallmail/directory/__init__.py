"""Domains, mailboxes and aliases: checked here, kept in PostgreSQL at the directory's leader."""
