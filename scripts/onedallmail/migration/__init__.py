"""Mailboxes of another mail system move in: planned, copied by the home's own Dovecot, compared message by message.

`users`, `listing`, `gate` and `state` decide without a network; `source` reads the other system, `remote` and `agent`
work on the home server.
"""
