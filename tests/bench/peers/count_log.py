#!/usr/bin/env python3
"""Counts the events of a log with a regular expression: count_log.py LOG"""
import collections
import re
import sys

line = re.compile(rb"^\d+@\d+\.\d+:(\w+) ")
counts = collections.Counter()
with open(sys.argv[1], "rb") as log:
    for text in log:
        match = line.match(text)
        if match:
            counts[match[1]] += 1
for name, count in sorted(counts.items()):
    print(name.decode(), count)
