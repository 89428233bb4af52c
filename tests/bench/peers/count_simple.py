#!/usr/bin/env python3
"""Counts the events of a simple trace with QEMU's own reader: count_simple.py SIMPLETRACE.py TRACE-EVENTS-ALL TRACE"""
import collections
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(sys.argv[1]).parent))
import simpletrace  # pylint: disable=import-error,wrong-import-position


class Counter(simpletrace.Analyzer):
    def __init__(self):
        self.counts = collections.Counter()

    def catchall(self, event, rec):
        self.counts[event.name] += 1


counter = Counter()
simpletrace.process(sys.argv[2], sys.argv[3], counter)
for name, count in sorted(counter.counts.items()):
    print(name, count)
