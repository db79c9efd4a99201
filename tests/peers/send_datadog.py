"""Uses the calls of Datadog's Python client `datadog`: send_datadog.py SOCKET_URL PREFIX.

The URL is unix://PATH for datagrams, unixstream://PATH for packets that follow their lengths.
"""
import sys

from datadog.dogstatsd.base import DogStatsd

url, prefix = sys.argv[1:]
client = DogStatsd(
    socket_path=url,
    namespace=prefix,
    disable_telemetry=True,
    disable_buffering=True,
    origin_detection_enabled=False,
    # Waits for room in the socket. By default the client drops what does not fit.
    socket_timeout=10,
)

# Each call is a packet of its own.
client.increment("hits", tags=["env:prod"])
client.increment("hits", 4, tags=["env:prod"])
client.decrement("hits", 2, tags=["env:prod"])
client.gauge("level", 12)
client.set("users", "ann")
client.set("users", "bob")
client.timing("load", 320)
client.histogram("load", 80)
client.distribution("sizes", 7)
client.event("title", "text")
# A packet with many lines.
with client:
    for nth in range(100):
        client.increment("piped")
    client.gauge("piped_level", 42)
client.disable_buffering = False
# More than a packet has room for.
for nth in range(5000):
    client.increment("buffered", tags=[f"nth:{nth % 10}"])
client.flush()
client.close_socket()
