// Sends with hot-shots and its telemetry, two intervals of a tenth of a second and a last report:
// report_hotshots.js UDP_PORT PACKETS, run where hot-shots is installed.
const { createRequire } = require("module");
const StatsD = createRequire(process.cwd() + "/")("hot-shots");

const [port, packets] = process.argv.slice(2).map(Number);
const client = new StatsD({
  host: "127.0.0.1",
  port,
  maxBufferSize: 0,
  includeDatadogTelemetry: true,
  telemetryFlushInterval: 100,
});
let left = packets;
const timer = setInterval(() => {
  for (let nth = 0; nth < 10 && left > 0; nth += 1) {
    client.increment("js.sent");
    left -= 1;
  }
  if (left === 0) {
    clearInterval(timer);
    setTimeout(() => client.close(), 300);
  }
}, 10);
