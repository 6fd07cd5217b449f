"""The lab: the stack's servers, routers and links on one Linux machine.

It is built from the deployment that the engine left, in network namespaces that have no way out of the machine.
"""
