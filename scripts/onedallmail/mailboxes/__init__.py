"""Mailboxes on two servers: each change of a home's mailbox goes to its standby, and a returned server is reconciled.

Runs on servers: standard library only, and of this project the rooms placement and channel.
"""
