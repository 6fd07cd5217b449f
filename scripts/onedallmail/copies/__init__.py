"""Copies of accepted mail: stored in a second region before the 250, kept until home and standby hold the message.

Runs on servers: standard library, python3-cryptography, and botocore for the keys.
"""
