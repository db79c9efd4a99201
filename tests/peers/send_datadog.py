"""Uses the calls of Datadog's Python client `datadog`: send_datadog.py URL PREFIX.

The URL is udp://PORT, unix://PATH for datagrams, or unixstream://PATH for packets that follow their
lengths.
"""
import os
import sys

url, prefix = sys.argv[1:]
# The client reads it when it is made, and sends it with each metric.
os.environ["DD_EXTERNAL_ENV"] = "it-false,cn-web,pu-75a2b6d5"

from datadog.dogstatsd import base  # noqa: E402

TIME = 1656581400
# The client draws a number for each sampled call. This one lets each call pass.
base.random = lambda: 0.0


def connect(**settings):
    if url.startswith("udp://"):
        settings.update(host="127.0.0.1", port=int(url.removeprefix("udp://")))
    else:
        # Waits for room in the socket. By default the client drops what does not fit.
        settings.update(socket_path=url, socket_timeout=10)
    return base.DogStatsd(namespace=prefix, disable_telemetry=True, **settings)


# Each call is a packet of its own, with the fields of origin detection.
client = connect(disable_buffering=True, container_id="83c0a99c0a54", cardinality="low")
client.increment("hits", tags=["env:prod"])
client.increment("hits", 4, tags=["env:prod"])
client.decrement("hits", 2, tags=["env:prod"])
client.increment("sampled", 3, sample_rate=0.25)
client.increment("tags", tags=["route:a", "canary", "url:http://a/b"], cardinality="high")
client.gauge("level", 12)
client.gauge("cold", -7.5)
client.set("users", "ann")
client.set("users", "bob")
client.set("users", "ann")
client.timing("load", 320)
client.timing("load", 80, sample_rate=0.5)
client.histogram("size", 50.5, tags=["env:prod"])
client.distribution("spread", -2)
with client.timed("timed"):
    pass
client.gauge_with_timestamp("past_level", 8, TIME, tags=["env:prod"])
client.count_with_timestamp("past", 7, TIME)
client.event("title", "line one\nline two", tags=["a:b"], alert_type="error")
client.service_check("database", client.OK, tags=["a:b"], message="fine")
# A packet with many lines.
with client:
    for nth in range(100):
        client.increment("piped")
    client.gauge("piped_level", 42)
client.increment("done")
client.close_socket()

# Packets that are as long as they may be over this transport.
buffered = connect(disable_buffering=False, origin_detection_enabled=False)
for nth in range(5000):
    buffered.increment("buffered", tags=[f"nth:{nth % 10}"])
buffered.flush()
# The client adds up counters, and packs the samples of a timer in one line.
buffered.enable_aggregation(flush_interval=3600, max_samples_per_context=32)
for nth in range(20):
    buffered.increment("summed")
    buffered.gauge("last", nth)
    buffered.set("members", nth % 3)
    buffered.distribution("packed", nth)
buffered.flush_aggregated_metrics()
buffered.flush()
buffered.increment("done")
buffered.flush_aggregated_metrics()
buffered.flush()
buffered.close_socket()
