// Uses the calls of other clients for Node: send_node.js node-statsd|statsd-client udp|tcp PORT PREFIX, run where
// they are installed.
const { createRequire } = require("module");
const load = createRequire(process.cwd() + "/");

const [name, transport, port, prefix] = process.argv.slice(2);
// node-statsd draws a number for each sampled call. This one lets each call pass.
Math.random = () => 0;

function nodeStatsd() {
  const client = new (load("node-statsd"))({
    host: "127.0.0.1",
    port: Number(port),
    prefix: prefix + ".",
    global_tags: ["env:prod"],
  });
  client.increment("hits");
  client.increment("hits", 4);
  client.decrement("hits", 2);
  client.increment("sampled", 3, 0.25);
  client.increment(["many.a", "many.b"], 1, 1, ["route:a", "canary"]);
  client.gauge("level", 12.5);
  client.timing("load", 320);
  client.histogram("size", 50.5);
  client.set("users", "ann");
  client.unique("users", "bob");
  client.increment("done", 1, 1, [], () => client.close());
}

function statsdClient() {
  const client = new (load("statsd-client"))({
    host: "127.0.0.1",
    port: Number(port),
    prefix,
    tcp: transport === "tcp",
    // Over TCP its buffer sends lines twice until it is connected.
    ...(transport === "tcp" ? { maxBufferSize: 0 } : {}),
    tags: { env: "prod" },
    socketTimeout: 100,
  });
  client.increment("hits");
  client.increment("hits", 4, { route: "a" });
  client.decrement("hits", 2, { route: "a" });
  client.counter("hits", 0.5);
  client.gauge("level", 12.5);
  client.gaugeDelta("moved", 4);
  client.gaugeDelta("moved", -6);
  client.timing("load", 320);
  client.timing("since", new Date());
  client.histogram("size", 50.5);
  client.distribution("spread", -2);
  client.set("users", "ann");
  client.set("users", "bob");
  client.getChildClient("child").increment("hits");
  // Over UDP it gathers lines up to 1,200 bytes.
  for (let nth = 0; nth < 500; nth++) client.increment("buffered", 1, { nth: nth % 10 });
  client.increment("done");
  setTimeout(() => client.close(), 500);
}

name === "node-statsd" ? nodeStatsd() : statsdClient();
