"""Prints points of carbon's Whisper files: read_whisper.py FOLDER SECONDS < series names, one a line.

One line a point of the last SECONDS: name value timestamp. Whisper reads the finest archive that
goes back so far. A name with tags lives where carbon puts it, under _tagged.
A file that is not there yet has no points.
"""
import os
import sys
import time

import whisper
from carbon.util import TaggedSeries

folder, seconds = sys.argv[1], int(sys.argv[2])
for name in sys.stdin.read().split("\n"):
    if not name:
        continue
    if ";" in name:
        relative = TaggedSeries.encode(name, sep=os.sep, hash_only=True)
    else:
        relative = name.replace(".", os.sep)
    path = os.path.join(folder, relative + ".wsp")
    if not os.path.exists(path):
        continue
    try:
        fetched = whisper.fetch(path, int(time.time()) - seconds)
    except whisper.CorruptWhisperFile:
        continue  # carbon is just creating it
    if fetched is None:
        continue
    (start, _, step), values = fetched
    for nth, value in enumerate(values):
        if value is not None:
            print(name, repr(value), start + nth * step)
