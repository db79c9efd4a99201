/* The house's server.
   It has most settings of Node StatsD. */
module.exports = {
  // where the points go
  graphiteHost: 'graphite.example.com'
, graphitePort: 2013
, "graphiteProtocol": "text",
  graphitePicklePort: 2004,
  title: "shop",
  backends: [ "./backends/graphite", './backends/console', "./backends/repeater",
              "statsd-librato-backend", ],
  servers: [
    { server: "./servers/udp", address: "127.0.0.1", port: 28125 },
    { server: "./servers/tcp", address: "::", port: 28126 },
    { server: "./servers/tcp",
      socket: "/tmp/statsd-import-test.sock",
      socket_mod: 0o660 },
  ],
  mgmt_address: "127.0.0.1",
  mgmt_port: 28127,
  debug: false,
  dumpMessages: true,
  flushInterval: 15000,
  percentThreshold: [ 50, 90, -10, 99.9 ],
  flush_counts: false,
  deleteIdleStats: true,
  deleteGauges: false,
  gaugesMaxTTL: 3,
  prefixStats: "own",
  keyNameSanitize: true,
  calculatedTimerMetrics: [ "count", "mean", "upper_percent", "histogram" ],
  healthStatus: 'up',
  automaticConfigReload: false,
  console: { prettyprint: false },
  log: {
    backend: "syslog",
    level: "LOG_INFO",
  },
  repeater: [
    { host: "10.8.3.214", port: 8125 },
    { host: "fd00::1",
      port: 8225 }
  ],
  repeaterProtocol: "udp6",
  histogram: [
    { metric: 'render', bins: [ 50, 100.5, "inf" ] },
    { metric: '',
      bins: [] },
  ],
  keyFlush: {
    interval: 60000,
    percent: 10,
    log: "/tmp/statsd-import-test-keys.log",
  },
  graphite: {
    legacyNamespace: false,
    globalPrefix: "shop.",
    prefixCounter: "c",
    prefixTimer: "t",
    prefixGauge: "g",
    prefixSet: "s",
    globalSuffix: require('os').hostname().split('.')[0],
  },
  librato: {
    email: process.env.LIBRATO || 'nobody@example.com',
    token: "t0ken", // a secret
  },
  deleteCounters: null,
};
