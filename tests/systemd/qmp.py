#!/usr/bin/env python3
"""Looks at a QEMU's trace events through a monitor of its own, beside qemond.

    qmp.py SOCKET on PATTERN...     prints the names of those that are on, one a line
    qmp.py SOCKET set NAME          switches one on, as somebody else would
"""
import json
import socket
import sys


def ask(stream, command, **arguments):
    stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
    stream.flush()
    while True:
        answer = json.loads(stream.readline())
        if "event" not in answer:
            return answer["return"]


def main():
    path, action, *names = sys.argv[1:]
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(path)
        stream = connection.makefile("rw", encoding="utf-8")
        json.loads(stream.readline())
        ask(stream, "qmp_capabilities")
        if action == "set":
            ask(stream, "trace-event-set-state", name=names[0], enable=True)
            return
        for pattern in names:
            for event in ask(stream, "trace-event-get-state", name=pattern):
                if event["state"] == "enabled":
                    print(event["name"])


main()
