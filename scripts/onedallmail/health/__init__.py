"""The deep health check of one server: whether it can do its work, and what happens when it can't.

These modules run on the servers and import nothing outside Python's standard library, cryptography, and placement.
"""
