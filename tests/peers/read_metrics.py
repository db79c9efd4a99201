"""Reads the text of /metrics on standard input: read_metrics.py openmetrics|text.

Prints one JSON object for each family: its name, type and samples. prometheus_client raises an error
for a text that breaks the rules of OpenMetrics.
"""
import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text

read = {"openmetrics": openmetrics, "text": text}[sys.argv[1]]
families = 0
for family in read(sys.stdin.buffer.read().decode()):
    families += 1
    samples = [[sample.name, sample.labels, repr(sample.value)] for sample in family.samples]
    print(json.dumps({"name": family.name, "type": family.type, "samples": samples}))
