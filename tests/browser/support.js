// The real server, real traffic, and Debian's chromium.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const installed = createRequire(join(process.env.BROWSER, "package.json"));
const { chromium } = installed("playwright-core");
const axe = readFileSync(installed.resolve("axe-core/axe.min.js"), "utf8");

export const DEADLINE = 30_000;

// Calls `look` until it returns something true.
export async function until(what, look, deadline = DEADLINE) {
  const began = Date.now();
  for (;;) {
    const found = await look();
    if (found) return found;
    assert.ok(Date.now() - began < deadline, `waited ${deadline} ms for ${what}`);
    await pause(20);
  }
}

// A server on ports of its own. `conf` is added to its configuration.
export class Server {
  static async start(conf = {}, ports = {}) {
    const server = new Server();
    server.loads = [];
    server.folder = mkdtempSync(join(tmpdir(), "statsd-browser-"));
    server.ports = ports;
    server.configure(conf);
    await server.run();
    return server;
  }

  configure(conf) {
    const all = {
      statsd: { flush_interval: "1s" },
      udp: { bind: `127.0.0.1:${this.ports.udp ?? 0}` },
      tcp: { bind: "127.0.0.1:0" },
      admin: { bind: `127.0.0.1:${this.ports.admin ?? 0}` },
      carbon: { address: "" },
    };
    for (const [section, keys] of Object.entries(conf)) all[section] = { ...all[section], ...keys };
    const text = Object.entries(all).map(
      ([section, keys]) =>
        `[${section}]\n${Object.entries(keys)
          .map(([key, value]) => `${key} = ${value}\n`)
          .join("")}`,
    );
    writeFileSync(join(this.folder, "statsd.conf"), text.join(""));
  }

  // Reads another configuration. Its ports stay those that `conf` names.
  async reload(conf) {
    this.configure(conf);
    this.child.kill("SIGHUP");
    await until("the reload", () => /reload=done/.test(this.log));
  }

  async run() {
    const environment = { ...process.env };
    delete environment.RUST_LOG;
    this.log = "";
    this.child = spawn(process.env.STATSD, ["-c", "statsd.conf"], {
      cwd: this.folder,
      env: environment,
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.child.stderr.setEncoding("utf8").on("data", (text) => {
      this.log += text;
    });
    const ready = await until("the ready line", () => {
      assert.equal(this.child.exitCode, null, this.log);
      return this.log.match(/^ready udp=(\S+) tcp=\S+ admin=(\S+)( unix=\S+)?$/m);
    });
    [this.udp, this.admin] = [ready[1], ready[2]].map((address) =>
      Number(address.split(":").at(-1)),
    );
  }

  get url() {
    return `http://127.0.0.1:${this.admin}/`;
  }

  // Sends lines, several in a packet, and waits until the server has counted them.
  async send(lines, from = "127.0.0.1") {
    const before = await this.received();
    const socket = createSocket("udp4");
    socket.bind(0, from);
    await once(socket, "listening");
    let sent = 0;
    while (sent < lines.length) {
      let size = 0;
      const packet = [];
      while (
        sent < lines.length &&
        (!packet.length || size + Buffer.byteLength(lines[sent]) < 1400)
      ) {
        size += Buffer.byteLength(lines[sent]) + 1;
        packet.push(lines[sent]);
        sent += 1;
      }
      await new Promise((done) => socket.send(packet.join("\n"), this.udp, "127.0.0.1", done));
    }
    socket.close();
    await until(
      "the lines to arrive",
      async () => (await this.received()) >= before + lines.length,
    );
  }

  async received() {
    const info = await this.ask("info");
    return info.sections.input.find((row) => row.name === "metrics_received").value;
  }

  async ask(path) {
    return (await fetch(`${this.url}api/${path}`)).json();
  }

  // A command of the admin port.
  async command(line) {
    const socket = connect(this.admin, "127.0.0.1");
    socket.end(`${line}\n`);
    let answer = "";
    for await (const part of socket) answer += part;
    return answer;
  }

  async stop(signal = "SIGTERM") {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill(signal);
    await once(this.child, "exit");
  }

  // Also ends the traffic of a test that failed, which would keep this process alive.
  async end() {
    for (const load of this.loads) load.stop();
    await this.stop();
    rmSync(this.folder, { recursive: true });
  }
}

// Sends a load until `stop` is called: what a small shop sends, each service from its own address.
export function traffic(server) {
  const services = ["shop", "search", "login", "mail"].map((name, at) => {
    const socket = createSocket("udp4");
    socket.bind(0, `127.0.0.${10 + at}`);
    return { name, at, socket };
  });
  const sockets = services.map((service) => service.socket);
  return every(50, server, sockets, (turn) => {
    const swell = 1 + 0.5 * Math.sin(turn / 60) + 0.2 * Math.sin(turn / 7);
    for (const { name, at, socket } of services) {
      const calls = Math.round(swell * (9 - 2 * at));
      const lines = [
        `${name}.requests:${calls}|c|#env:prod,zone:eu-1`,
        `${name}.queue:${Math.round(swell * 40 + at)}|g`,
      ];
      for (let call = 0; call < calls; call += 1) {
        lines.push(
          `${name}.time:${(20 + 15 * at + 60 * Math.random() ** 3 * swell).toFixed(1)}|ms`,
        );
        if (call % 3 === 0) lines.push(`${name}.users:u${Math.floor(Math.random() * 300)}|s`);
        if (Math.random() < 0.02) lines.push(`${name}.errors:1|c`);
      }
      socket.send(lines.join("\n"), server.udp, "127.0.0.1");
    }
  });
}

// Sends the same lines again and again, from `count` addresses: 127.0.0.100, 127.0.0.101 and so on.
export function repeat(server, count, lines) {
  const sockets = Array.from({ length: count }, (_, at) =>
    createSocket("udp4").bind(0, `127.0.0.${100 + at}`),
  );
  return every(200, server, sockets, () => {
    sockets.forEach((socket, at) =>
      socket.send(lines(at).join("\n"), server.udp, "127.0.0.1"),
    );
  });
}

// Starts a process for each list of lines. It sends them to the unix socket at `path` five times a
// second. With `user` it does so once as itself, and then as that user. Node cannot send datagrams
// to a unix socket, so Python does.
export function processes(server, path, lists, user = null) {
  const program = `
import os, socket, sys, time
out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
out.connect(sys.argv[1])
lines = sys.argv[3].encode()
out.send(lines)
if sys.argv[2]:
    os.setuid(int(sys.argv[2]))
while True:
    out.send(lines)
    time.sleep(0.2)
`;
  const started = lists.map((lines) =>
    spawn("python3", ["-c", program, path, user ?? "", lines.join("\n")], { stdio: "ignore" }),
  );
  const load = { pids: started.map((one) => one.pid), stop: () => started.forEach((one) => one.kill()) };
  server.loads.push(load);
  return load;
}

// Calls `send` until `stop` is called, or the server is ended.
function every(span, server, sockets, send) {
  let turn = 0;
  let timer = setInterval(() => send((turn += 1)), span);
  const load = {
    stop() {
      if (timer) for (const socket of sockets) socket.close();
      clearInterval(timer);
      timer = null;
    },
  };
  server.loads.push(load);
  return load;
}

// A carbon that reads everything. It ends with the test process.
export async function carbon() {
  const listener = createServer((socket) => socket.resume().on("error", () => {}));
  listener.listen(0, "127.0.0.1").unref();
  await once(listener, "listening");
  return `127.0.0.1:${listener.address().port}`;
}

// One browser for all tests.
let browser = null;
export async function visit(url, options = {}) {
  browser ??= await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--host-resolver-rules=MAP *.test 127.0.0.1",
    ],
  });
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.troubles = [];
  page.on("pageerror", (error) => page.troubles.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") page.troubles.push(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(url.replace(/#.*/, "")))
      page.troubles.push(`asks ${request.url()}`);
  });
  page.status = (await page.goto(url))?.status();
  return page;
}

export async function leave(page) {
  await page.context().close();
}

export async function closeBrowser() {
  await browser?.close();
}

// No error on the console, no request to another host.
export const calm = (page) => assert.deepEqual(page.troubles, []);

// What axe-core finds, as text. The evaluation is not bound by the page's security policy.
export async function violations(page) {
  const found = await page.evaluate(`${axe}; axe.run()`);
  return found.violations.map(
    (one) =>
      `${one.id}: ${one.help}: ${one.nodes.map((node) => `${node.target} ${node.failureSummary}`).join("; ")}`,
  );
}

export const shoot = (page, name, options = {}) =>
  page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`), ...options });

export const textOf = (page, selector) => page.locator(selector).innerText();

// The number that a place shows.
export async function numberOf(page, selector) {
  return Number((await textOf(page, selector)).replaceAll(",", "").split(/\s/)[0]);
}
