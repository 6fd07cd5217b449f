"""AWS as the lab's servers meet it: regional APIs over TLS, and instance metadata; the emulator answers behind it.

A process of the machine listens in the lab's namespaces (server.py), so that no node has a way to the machine itself.
"""
