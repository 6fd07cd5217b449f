"""Requests between the platform's servers: mutual TLS 1.3, pinned public keys, frames of one JSON line and a body.

Runs on servers: standard library and python3-cryptography only.
"""
