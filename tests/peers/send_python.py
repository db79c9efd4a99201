"""Uses every call of the Python client `statsd`: send_python.py udp|tcp|unix PORT_OR_PATH PREFIX."""
import random
import sys
from datetime import timedelta

import statsd

transport, address, prefix = sys.argv[1:]
if transport == "unix":
    client = statsd.UnixSocketStatsClient(address, prefix=prefix)
else:
    client_class = {"udp": statsd.StatsClient, "tcp": statsd.TCPStatsClient}[transport]
    client = client_class("127.0.0.1", int(address), prefix=prefix)
# The client draws a number for each sampled call. This one lets each call pass.
random.random = lambda: 0.0

client.incr("hits")
client.incr("hits", 4)
client.incr("sampled", 3, rate=0.25)
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
client.incr("done")
client.close()
