"""The way of one message over all servers, from the mail logs.

`lines`, `follow` and `timeline` are pure; `remote` reads the logs over SSH.
"""
