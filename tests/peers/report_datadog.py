"""Sends with Datadog's Python client and its telemetry: report_datadog.py UDP_PORT_OR_SOCKET_URL.

Reads commands from standard input, and writes a line after each:
  N        N packets, with one counter each
  report   one more packet, and the report of the client about all packets since the last
"""
import sys

from datadog.dogstatsd.base import DogStatsd

NEVER = 10**9
to = sys.argv[1]
where = {"socket_path": to} if "/" in to else {"host": "127.0.0.1", "port": int(to)}
client = DogStatsd(
    **where,
    disable_buffering=True,
    telemetry_min_flush_interval=NEVER,
    origin_detection_enabled=False,
)
for line in sys.stdin:
    if line.strip() == "report":
        client._telemetry_flush_interval = -1
        client.increment("py.sent")
        client._telemetry_flush_interval = NEVER
    else:
        for nth in range(int(line)):
            client.increment("py.sent")
    print("done", flush=True)
