"""Which server is home of which mailboxes: the placement map, and the service that keeps its files on the mail servers.

These modules run on the servers too and import nothing outside Python's standard library and this folder.
"""
