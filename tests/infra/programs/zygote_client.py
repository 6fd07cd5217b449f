"""Runs a program or a provider through a zygote: zygote_client.py SOCKET KIND ARGUMENTS... (zygote.py explains)."""

import array
import json
import os
import socket
import sys

path, kind, *arguments = sys.argv[1:]
connection = socket.socket(socket.AF_UNIX)
connection.connect(path)
request = json.dumps({"kind": kind, "arguments": arguments, "environment": dict(os.environ)}).encode() + b"\n"
rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [1, 2]))
sent = connection.sendmsg([request], [rights])
connection.sendall(request[sent:])
answer = connection.recv(1)
sys.exit(answer[0] if answer else 1)
