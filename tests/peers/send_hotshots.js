// Uses the client hot-shots in its common ways: node send_hotshots.js PORT PREFIX, run where hot-shots is installed.
const { createRequire } = require("module");
const StatsD = createRequire(process.cwd() + "/")("hot-shots");

const [port, prefix] = process.argv.slice(2);
const place = { host: "127.0.0.1", port: Number(port), cacheDns: true };

const plain = new StatsD({ ...place, prefix: prefix + ".", globalTags: { env: "prod" } });
plain.increment("hits");
plain.increment("hits", 4, ["route:a"]);
plain.decrement("hits", 2, { route: "a" });
plain.gauge("level", 12.5);
plain.gaugeDelta("moved", 4);
plain.gaugeDelta("moved", -6);
plain.timing("load", 100);
plain.timing("load", 300);
plain.histogram("size", 50);
plain.distribution("spread", 8);
plain.set("users", "ann");
plain.set("users", "bob");
plain.unique("users", "ann");

const buffered = new StatsD({ ...place, prefix: prefix + ".buffered.", maxBufferSize: 400 });
for (let nth = 0; nth < 50; nth++) {
  buffered.increment("hits");
  buffered.timing("load", nth);
}

plain.event("deployed", "version 7");
plain.check("database", plain.CHECKS.OK);

// Telegraf's form: tags in the name, as Influx has them.
const telegraf = new StatsD({ ...place, prefix: prefix + ".telegraf.", telegraf: true });
telegraf.increment("hits", 3, { zone: "a" });
telegraf.timing("load", 20, { zone: "a", env: "prod" });
telegraf.close();
plain.close(() => buffered.close(() => {}));
