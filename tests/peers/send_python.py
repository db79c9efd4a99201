"""Uses every call of the Python client `statsd` once or twice: send_python.py udp|tcp PORT PREFIX."""
import sys
from datetime import timedelta

import statsd

transport, port, prefix = sys.argv[1], int(sys.argv[2]), sys.argv[3]
client_class = {"udp": statsd.StatsClient, "tcp": statsd.TCPStatsClient}[transport]
client = client_class("127.0.0.1", port, prefix=prefix)

client.incr("hits")
client.incr("hits", 4)
client.decr("hits", 2)
client.gauge("level", 10)
client.gauge("level", 5, delta=True)
client.gauge("level", -3, delta=True)
client.gauge("cold", -7)
client.set("users", "ann")
client.set("users", "bob")
client.set("users", "ann")
client.timing("load", 320)
client.timing("load", timedelta(milliseconds=80))
with client.timer("work"):
    pass


@client.timer("called")
def timed():
    """The client's timer as a decorator."""


timed()
timed()
with client.pipeline() as pipe:
    for nth in range(100):
        pipe.incr("piped")
    pipe.gauge("piped_level", 42)
    pipe.timing("piped_load", 7)
client.close()
