// Uses the client hot-shots in its common ways: send_hotshots.js udp|tcp|uds|stream ADDRESS PREFIX, run where
// hot-shots is installed. The address is a port, or the path of a unix socket.
const { createRequire } = require("module");
const net = require("net");
// The client reads it when it is made, and sends it with each metric.
process.env.DD_EXTERNAL_ENV = "it-false,cn-web,pu-75a2b6d5";
const StatsD = createRequire(process.cwd() + "/")("hot-shots");

const [protocol, address, prefix] = process.argv.slice(2);
const TIME = 1656581400;
// The client draws a number for each sampled call. This one lets each call pass.
Math.random = () => 0;

function place() {
  return { includeDatadogTelemetry: false, ...transport() };
}

function transport() {
  switch (protocol) {
    case "uds":
      return { protocol, path: address };
    case "stream":
      return { protocol, stream: net.connect(address) };
    default:
      return { protocol, host: "127.0.0.1", port: Number(address), cacheDns: true };
  }
}

const plain = new StatsD({
  ...place(),
  prefix: prefix + ".",
  globalTags: { env: "prod" },
  maxBufferSize: 0,
  containerID: "83c0a99c0a54",
  cardinality: "low",
});
plain.increment("hits");
plain.increment("hits", 4, ["route:a"]);
plain.decrement("hits", 2, { route: "a" });
plain.increment("sampled", 3, 0.25);
plain.increment("past", 7, { timestamp: TIME });
plain.gauge("past_level", 8, { timestamp: TIME });
plain.gauge("level", 12.5);
plain.gaugeDelta("moved", 4);
plain.gaugeDelta("moved", -6);
plain.timing("load", 100);
plain.timing("load", 300, 0.5);
plain.histogram("size", 50);
plain.distribution("spread", 8, { cardinality: "high" });
plain.set("users", "ann");
plain.set("users", "bob");
plain.unique("users", "ann");
plain.event("deployed", "version 7", { alert_type: "info" });
plain.check("database", plain.CHECKS.OK, { message: "fine" });
const child = plain.childClient({ prefix: "child.", globalTags: { shard: "3" } });
child.increment("hits");

const buffered = new StatsD({ ...place(), prefix: prefix + ".buffered.", maxBufferSize: 8000 });
for (let nth = 0; nth < 1000; nth++) {
  buffered.increment("hits", 1, [`nth:${nth % 10}`]);
  buffered.timing("load", nth % 50);
}

const summed = new StatsD({ ...place(), prefix: prefix + ".summed.", aggregation: true });
for (let nth = 0; nth < 20; nth++) {
  summed.increment("hits");
  summed.gauge("last", nth);
  summed.set("members", nth % 3);
}

// Telegraf's form: tags in the name, as Influx has them.
const telegraf = new StatsD({ ...place(), prefix: prefix + ".telegraf.", telegraf: true, maxBufferSize: 0 });
telegraf.increment("hits", 3, { zone: "a" });
telegraf.timing("load", 20, { zone: "a", env: "prod" });

const end = (client) =>
  new Promise((resolve) => client.increment("done", 1, () => client.close(resolve)));
// A client that adds up sends its sums when it closes.
const close = (client) => new Promise((resolve) => client.close(resolve));
summed.increment("done");
Promise.all([end(plain), end(buffered), close(summed), end(telegraf)]).then(() => process.exit(0));
