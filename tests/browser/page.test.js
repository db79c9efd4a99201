// The page at "/" as its users have it: the real server in Debian's chromium.
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import {
  calm,
  carbon,
  closeBrowser,
  leave,
  numberOf,
  processes,
  repeat,
  Server,
  shoot,
  textOf,
  traffic,
  until,
  violations,
  visit,
} from "./support.js";

after(closeBrowser);

const row = (page, name) => page.locator("table.series tbody tr", { hasText: name }).first();

async function serving(conf, run) {
  const server = await Server.start(conf);
  try {
    await run(server);
    assert.doesNotMatch(server.log, /the server has a bug/);
  } catch (error) {
    console.error(server.log);
    throw error;
  } finally {
    await server.end();
  }
}

test("a first visitor sees the command, and then the counter move", () =>
  serving({}, async (server) => {
    const page = await visit(server.url);
    const command = page.locator("#first code");
    await command.waitFor();
    assert.equal(await command.innerText(), `echo "hello:1|c" | nc -u -w1 127.0.0.1 ${server.udp}`);
    assert.equal(await page.locator("#tile-loss .value").innerText(), "0");
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.getByRole("button", { name: "Copy" }).click();
    await page.getByRole("button", { name: "Copied" }).waitFor();
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^echo "hello:1\|c"/);
    assert.deepEqual(await violations(page), []);
    await shoot(page, "first");

    await server.send(["hello:1|c"]);
    await page.locator("#first .came .name", { hasText: "hello" }).waitFor();
    await until("the count", async () => {
      await server.send(["hello:3|c"]);
      return (await numberOf(page, "#first .came .value")) > 0;
    });
    await page.locator("#first .came a").click();
    await page.locator("#detail .u-over").first().waitFor();
    assert.equal(await textOf(page, "#detail-title"), "hello");
    calm(page);
    await leave(page);
  }));

test("the command leads to a listener of IPv6 alone", () =>
  serving({ udp: { bind: "[::]:0" } }, async (server) => {
    const page = await visit(server.url);
    const command = page.locator("#first code");
    await command.waitFor();
    assert.equal(await command.innerText(), `echo "hello:1|c" | nc -u -w1 localhost ${server.udp}`);
    await leave(page);
  }));

test("the page shows what the server has counted", () =>
  serving({ statsd: { flush_interval: "1h", align_flush: "no" } }, async (server) => {
    await server.send([
      "shop.orders:7|c",
      "shop.orders:5|c",
      "shop.stock:41|g",
      "shop.time:3|ms",
      "shop.time:5|ms",
      "shop.users:a|s",
      "shop.users:b|s",
      "nonsense",
      "shop.bad:x|c",
    ]);
    const page = await visit(server.url);
    await row(page, "shop.orders").waitFor();
    const cell = (name) => row(page, name).locator("td").first().innerText();
    assert.equal(await cell("shop.orders"), "12");
    assert.equal(await cell("shop.stock"), "41");
    assert.equal(await cell("shop.time"), "2");
    assert.equal(await cell("shop.users"), "2");
    assert.equal(await textOf(page, "#tile-bad .value"), "2");
    assert.equal(await textOf(page, "#tile-series .value"), "4");
    const info = await server.ask("info");
    assert.equal(await textOf(page, "#tile-loss .value"), String(info.lost_lines));
    assert.match(await textOf(page, "#tile-lines"), /9 lines since the start/);
    assert.match(await textOf(page, "#senders tbody"), /127\.0\.0\.1/);
    // The open interval moves without a flush.
    await server.send(["shop.orders:30|c"]);
    await until("the counter to move", async () => (await cell("shop.orders")) === "42");
    calm(page);
    await leave(page);
  }));

test("a click opens the chart of each type, and a link leads to it", () =>
  serving({ carbon: { address: "127.0.0.1:9" } }, async (server) => {
    const load = traffic(server);
    const page = await visit(server.url);
    for (const [name, kind, plots] of [
      ["shop.requests", "counter", 1],
      ["shop.time", "timer", 2],
      ["shop.queue", "gauge", 1],
      ["shop.users", "set", 1],
    ]) {
      await row(page, name).locator("a").click();
      await page
        .locator("#detail .u-over")
        .nth(plots - 1)
        .waitFor();
      assert.match(await textOf(page, "#detail-title"), new RegExp(`^${name}`));
      assert.equal(await page.evaluate(() => document.activeElement.id), "detail-title");
      assert.match(page.url(), new RegExp(`type=${kind}`));
      await until("a point that is not null", async () =>
        /last \d/.test(await page.locator("#detail .plot").first().getAttribute("aria-label")),
      );
      const facts = await textOf(page, "#detail dl");
      assert.match(facts, /Last value from\n127\.0\.0\.1/);
      await page.keyboard.press("Escape");
      await page.locator("#detail").waitFor({ state: "hidden" });
      assert.match(await page.evaluate(() => document.activeElement.textContent), new RegExp(name));
    }
    // The chart goes on with each flush.
    const linked = await visit(`${server.url}#q=shop&series=shop.time&type=timer`);
    await linked.locator("#detail .u-over").first().waitFor();
    assert.equal(await linked.locator("#q").inputValue(), "shop");
    const points = () => textOf(linked, "#detail .note-points").then((text) => parseInt(text, 10));
    const before = await points();
    await until("more points", async () => (await points()) > before + 1);
    // A tile leads to the chart of its figure.
    await linked.keyboard.press("Escape");
    await linked.locator("#tile-lines a").click();
    await linked.locator("#detail .u-over").first().waitFor();
    assert.match(linked.url(), /figure=metrics_received/);
    load.stop();
    calm(page);
    calm(linked);
    await leave(page);
    await leave(linked);
  }));

test("a series shows its value, its names in Graphite, its rules and its last sender", async () =>
  serving(
    {
      carbon: { address: await carbon() },
      "rule.shop": { match: "shop.*", percentiles: "50" },
      "rule.time": { match: "*.time", delete_idle: "yes" },
    },
    async (server) => {
      const load = traffic(server);
      const page = await visit(server.url);
      const list = page.locator("#detail dl");
      for (const [name, kind, sentAs, rules] of [
        ["shop.queue", "gauge", "stats.gauges.shop.queue", ["[rule.shop]"]],
        ["shop.time", "timer", "stats.timers.shop.time.upper_50", ["[rule.shop]", "[rule.time]"]],
        ["shop.users", "set", "stats.sets.shop.users.count", ["[rule.shop]"]],
        ["mail.queue", "gauge", "stats.gauges.mail.queue", ["none: the settings of [statsd]"]],
      ]) {
        await row(page, name).locator("a").click();
        await list.getByText(sentAs, { exact: true }).waitFor();
        await list.getByText("Sent to carbon as").waitFor();
        for (const rule of rules) await list.getByText(rule, { exact: true }).waitFor();
        assert.match(
          await textOf(page, "#detail dl"),
          name.startsWith("mail") ? /Last value from\n127\.0\.0\.13/ : /Last value from\n127\.0\.0\.10/,
        );
        await until("its value", async () => {
          const [shown, real] = [
            await numberOf(page, "#detail .now .value"),
            await server.ask(`series?name=${name}&kind=${kind}`),
          ];
          return shown > 0 && (kind !== "gauge" || Math.abs(shown - real.value) < 20);
        });
        await page.keyboard.press("Escape");
      }
      // A tag is a part of the name at carbon as well.
      await row(page, "shop.requests").locator("a").click();
      await list.getByText("stats.shop.requests;env=prod;zone=eu-1", { exact: true }).waitFor();
      await list
        .getByText("stats_counts.shop.requests;env=prod;zone=eu-1", { exact: true })
        .waitFor();
      load.stop();
      // What the page shows of an idle counter is exact.
      await server.send(["exact:41|c"]);
      await page.goto(`${server.url}#series=exact&type=counter`);
      await page.locator("#detail").getByText("total 41").waitFor();
      calm(page);
      await leave(page);
    },
  ));

test("lines of unknown delivery are no green zero", () =>
  serving(
    { statsd: { flush_interval: "1s" }, exec: { command: "cat > /dev/null; exit 1" } },
    async (server) => {
      const page = await visit(server.url);
      const loss = page.locator("#tile-loss");
      await loss.getByText(/lines?: delivery unknown, at exec$/).waitFor();
      assert.equal(await loss.getAttribute("data-state"), "mid");
      assert.equal(await textOf(page, "#tile-loss .value"), "0");
      await page.locator("#destinations .pill[data-state=bad]", { hasText: "failing" }).waitFor();
      await shoot(page, "doubt");
      calm(page);
      await leave(page);
    },
  ));

test("a rule that drops is named: at the loss, at its senders, in a search and under a link", () =>
  serving({ "rule.noise": { match: "noise.*, shop.*", drop: "yes" } }, async (server) => {
    await server.send(["shop.orders:1|c", "shop.orders:2|c", "shop.time:5|ms", "web.hits:1|c"]);
    const page = await visit(server.url);
    const loss = page.locator("#tile-loss");
    await loss.getByText("3 values dropped by [rule.noise]: 75 % of all values").waitFor();
    await loss.getByText(/match = noise\.\*, shop\.\*; 3 in the last minute; not counted/).waitFor();
    assert.equal(await textOf(page, "#tile-loss .value"), "0", "it is no loss");
    await page.locator("#senders").getByText(/^3 values dropped by \[rule\.noise\]/).waitFor();
    const note = page.locator("#dropped");
    assert.ok(await note.isHidden());
    for (const [text, isDropped] of [
      ["shop.orders", true],
      ["shop.", true],
      ["shop.*", true],
      ["oise", true],
      ["web", false],
      ["shopping.carts", false],
    ]) {
      await page.locator("#q").fill(text);
      await page
        .locator("#shown")
        .getByText(text === "web" ? "series" : "0 of 0 shown, 1 in all")
        .waitFor();
      await until(text, async () => (await note.isVisible()) === isDropped);
      const sentence = `The rule [rule.noise] drops ${text}: it has drop = yes and match = noise.*, shop.*.`;
      if (isDropped) await note.getByText(sentence, { exact: true }).waitFor();
    }
    await page.goto(`${server.url}#series=shop.orders&type=counter`);
    await page
      .locator("#detail")
      .getByText("There is no such series now. The rule [rule.noise] drops shop.orders")
      .waitFor();
    await page.keyboard.press("Escape");
    assert.deepEqual(await violations(page), []);
    await shoot(page, "dropped");
    // The answer 404 is an error to the browser.
    assert.deepEqual(
      page.troubles.filter((trouble) => !trouble.includes("404")),
      [],
    );
    await leave(page);
  }));

test("lines that make no series are not waited for", () =>
  serving({ "rule.all": { match: "**", drop: "yes" } }, async (server) => {
    const page = await visit(server.url);
    await page.locator("#first").getByText("Waiting for the first line.").waitFor();
    await server.send(["shop.orders:1|c"]);
    await page.locator("#first").getByText("1 line came, and made no series.").waitFor();
    const later = await visit(server.url);
    await later.getByText("No series: rules drop what arrives. See Loss.").waitFor();
    assert.ok(await later.locator("#first").isHidden());
    calm(page);
    calm(later);
    await leave(page);
    await leave(later);
  }));

test("a full table names whose series fill it, and what helps", () =>
  serving({ limits: { max_series: 100 } }, async (server) => {
    await server.send(["shop.orders:1|c"]);
    const junk = (from) => Array.from({ length: 150 }, (_, at) => `junk.x.${from + at}<b>:1|c`);
    const page = await visit(server.url);
    const card = page.locator("#crowd");
    await row(page, "shop.orders").waitFor();
    assert.ok(await card.isHidden(), "there is nothing to show yet");
    await server.send(junk(0), "127.0.0.2");
    await card.getByRole("heading", { name: "The table of series is full" }).waitFor();
    const sentence =
      /^junk\.x has 99 % of new series\. 127\.0\.0\.2 sends names such as junk\.x\.\d+b\. \d+ values of new names dropped since the start\./;
    await until("the sentence", async () => sentence.test(await card.locator("p").first().innerText()));
    await card.getByText("Fix that program, drop its names with match = junk.x.** and drop = yes in a rule, or").waitFor();
    await page.getByRole("status").getByText("The table of series is full").waitFor();
    assert.deepEqual(await violations(page), []);
    for (const [name, options] of [
      ["light", {}],
      ["dark", { colorScheme: "dark" }],
      ["phone", { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true }],
    ]) {
      const other = await visit(server.url, options);
      await other.locator("#crowd h2").waitFor();
      await row(other, "junk.x.").waitFor();
      assert.deepEqual(await violations(other), [], name);
      const width = await other.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(width <= 0, `${name}: ${width} px too wide`);
      if (name === "phone") await other.locator("#crowd").scrollIntoViewIfNeeded();
      await shoot(other, `full-${name}`);
      calm(other);
      await leave(other);
    }
    await card.getByRole("link", { name: "Show its series" }).click();
    await page.locator("#shown").getByText("99 of 99 shown, 100 in all").waitFor();
    assert.match(page.url(), /#q=junk\.x\.$/);
    // Without a common prefix the sender is named, and there is no rule that would help.
    await server.command("delcounters junk.*");
    await until("it disappears", () => card.isHidden());
    const spread = Array.from({ length: 150 }, (_, at) => `name${at}:1|c`);
    await server.send(spread, "127.0.0.3");
    await card.getByText(/^127\.0\.0\.3 has 99 % of new series\. It sends names such as/).waitFor();
    assert.equal(
      await card.locator("p").last().innerText(),
      "Fix that program, or raise [limits] max_series or series_memory.",
    );
    assert.ok(await card.getByRole("link").isHidden());
    calm(page);
    await leave(page);
  }));

test("the table of senders sorts and shows all of them", () =>
  serving({ statsd: { flush_interval: "1h", align_flush: "no" } }, async (server) => {
    for (let at = 1; at <= 20; at += 1) {
      const lines = Array.from({ length: at }, () => `host${at}.calls:1|c`);
      if (at === 13) lines.splice(0, 2, "nonsense", "host13.bad:x|c");
      await server.send(lines, `127.0.0.${at}`);
    }
    const page = await visit(server.url);
    const names = () => page.locator("#senders tbody .name").allInnerTexts();
    await page.locator("#senders").getByText("14 others").waitFor();
    assert.deepEqual(
      await names(),
      ["20", "19", "18", "17", "16", "15"].map((at) => `127.0.0.${at}`).concat("14 others"),
    );
    const sort = (title) => page.locator("#senders thead").getByRole("button", { name: title });
    await sort("Bad").click();
    await until("the bad one first", async () => (await names())[0] === "127.0.0.13");
    const head = page.locator("#senders thead th", { hasText: "Bad" });
    assert.equal(await head.getAttribute("aria-sort"), "descending");
    await sort("Lines").click();
    await sort("Lines").click();
    await until("the one with fewest lines first", async () => (await names())[0] === "127.0.0.1");
    await page.getByRole("button", { name: "Show all 20" }).click();
    await until("all of them", async () => (await names()).length === 20);
    assert.deepEqual(await violations(page), []);
    await page.getByRole("button", { name: "Show fewer" }).click();
    await until("some of them", async () => (await names()).length === 7);
    calm(page);
    await leave(page);
  }));

test("of twenty senders of a name the wrong one is named", () =>
  serving({}, async (server) => {
    const load = repeat(server, 20, (at) => [
      `shop.checkout:${(20 + at) * (at === 7 ? 1_000_000 : 1)}|ms`,
      `shop.orders:1|c${at === 9 ? "" : "|@0.1"}|#env:prod`,
      `other.name:1|c`,
    ]);
    const page = await visit(server.url);
    const panel = page.locator("#detail .who");
    for (const [name, note] of [
      ["shop.checkout", "127.0.0.107\nother values than most senders"],
      ["shop.orders", "127.0.0.109\nno sample rate (@), unlike most"],
    ]) {
      await row(page, name).locator("a").click();
      await panel.getByRole("button", { name: "Watch its lines for 10 s" }).click();
      await until("all senders", async () =>
        (await panel.locator("p").innerText()).includes(" of 20 senders"),
      );
      await until("the wrong one first", async () =>
        (await panel.locator("tbody th").first().innerText()).startsWith(note),
      );
      assert.equal(await panel.getByText("unlike most").count(), name === "shop.orders" ? 1 : 0);
      assert.deepEqual(await violations(page), []);
      await shoot(page, `who-${name}`);
      await page.keyboard.press("Escape");
    }
    load.stop();
    // The server forgets a watch that the page has left.
    await row(page, "other.name").locator("a").click();
    await panel.getByRole("button").click();
    await panel.getByText(/^No line of it yet in/).waitFor();
    await panel.getByText("No line of it came in 10 s").waitFor();
    calm(page);
    await leave(page);
  }));

test("each process that sends to a unix socket is a sender of its own", async () => {
  const folder = mkdtempSync(join(tmpdir(), "statsd-unix-"));
  const path = join(folder, "s");
  try {
    await serving({ unix: { datagram: path, mode: "0666" } }, async (server) => {
      const values = [5, 5, 5, 5000, 5, 5];
      const load = processes(server, path, values.map((value) => [`shop.cart:${value}|g`]));
      const page = await visit(server.url);
      const panel = page.locator("#detail .who");
      await row(page, "shop.cart").locator("a").click();
      await panel.getByRole("button", { name: "Watch its lines for 10 s" }).click();
      await until("all senders", async () =>
        (await panel.locator("p").innerText()).includes(" of 6 senders"),
      );
      const wrong = `unix:${load.pids[3]}\nother values than most senders`;
      await until("the wrong one first", async () =>
        (await panel.locator("tbody th").first().innerText()).startsWith(wrong),
      );
      await page.keyboard.press("Escape");
      const names = () => page.locator("#senders tbody th").allInnerTexts();
      const mine = `unix:${load.pids[0]}\npython3, user ${process.getuid()}`;
      await until("its process and user", async () => (await names()).includes(mine));
      load.stop();
      calm(page);
      await leave(page);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test(
  "a process that changes its user is two senders, each in one row",
  { skip: process.getuid() !== 0 && "only root can change its user" },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "statsd-unix-"));
    const path = join(folder, "s");
    try {
      chmodSync(folder, 0o755);
      await serving({ unix: { datagram: path, mode: "0666" } }, async (server) => {
        processes(server, path, [["shop.cart:5|g"]], "65534");
        const page = await visit(server.url);
        const rows = () => page.locator("#senders tbody tr").count();
        await until("both rows", async () => (await rows()) === 2);
        const lines = () => numberOf(page, "#senders tbody tr:first-child td:nth-child(2)");
        const before = await lines();
        // Three refreshes later there are still two, and they are up to date.
        await until("refreshes", async () => (await lines()) > before + 30);
        assert.equal(await rows(), 2);
        calm(page);
        await leave(page);
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);

test("a series that no flush has seen, and a history that is off, are not called full", async () => {
  await serving({ statsd: { flush_interval: "1h", align_flush: "no" } }, async (server) => {
    await server.send(["hello:1|c"]);
    const page = await visit(`${server.url}#series=hello&type=counter`);
    await page.getByText("The chart begins with the next flush, within 1 h").waitFor();
    await leave(page);
  });
  await serving({ admin: { bind: "127.0.0.1:0", history_memory: "0" } }, async (server) => {
    await server.send(["hello:1|c"]);
    const page = await visit(`${server.url}#series=hello&type=counter`);
    await page.getByText("The history is off: [admin] history_memory is 0.").waitFor();
    await page.getByText("No charts: [admin] history_memory is 0.").waitFor();
    await leave(page);
  });
});

test("only a destination that is down fills its queue", async () => {
  const address = await carbon();
  await serving({ carbon: { address } }, async (server) => {
    const load = traffic(server);
    const page = await visit(server.url);
    const facts = page.locator("#destinations .facts");
    await facts.getByText(/^would last .* in an outage$/).waitFor();
    load.stop();
    await leave(page);
  });
  await serving({ carbon: { address: "127.0.0.1:9" } }, async (server) => {
    const load = traffic(server);
    const page = await visit(server.url);
    const facts = page.locator("#destinations .facts");
    await facts.getByText(/^full in .* at this rate$/).waitFor();
    load.stop();
    await leave(page);
  });
});

test("a name that the server does not know gets an explanation", () =>
  serving({ admin: { bind: "127.0.0.1:0", hosts: "listed.test" } }, async (server) => {
    const page = await visit(`http://listed.test:${server.admin}/`);
    await page.locator("#tile-loss .value", { hasText: "0" }).waitFor();
    const other = await visit(`http://other.test:${server.admin}/`);
    assert.equal(other.status, 403);
    const text = await other.locator("body").innerText();
    for (const part of ['"other.test" is not known', "IP address", "hosts", "[admin]", "reload"])
      assert.ok(text.includes(part), text);
    // A page that is open shows it, too.
    await server.reload({ admin: { bind: `127.0.0.1:${server.admin}` } });
    await page.locator("#banner").getByText("The server refuses this page (403)").waitFor();
    assert.match(
      await textOf(page, "#banner"),
      /Use its IP address, or add the name to hosts in section \[admin\] of its configuration, and reload it\. The figures/,
    );
    await shoot(page, "refused");
    await leave(page);
    await leave(other);
  }));

test("a filter finds one name among 10,000 series", () =>
  serving({ statsd: { flush_interval: "1h", align_flush: "no" } }, async (server) => {
    const lines = [];
    for (let at = 0; at < 10_000; at += 1) lines.push(`host${at % 100}.service${at}.calls:${at}|c`);
    for (let from = 0; from < lines.length; from += 1000)
      await server.send(lines.slice(from, from + 1000));
    const page = await visit(server.url);
    await page.locator("#shown").getByText("200 of 10,000 shown").waitFor();
    assert.equal(await page.locator("table.series tbody tr").count(), 200);

    const began = Date.now();
    await page.locator("#q").fill("service4711.");
    await page.locator("#shown").getByText("1 of 1 shown, 10,000 in all").waitFor();
    assert.ok(Date.now() - began < 3000, `${Date.now() - began} ms`);
    assert.equal(
      await page.locator("table.series tbody a").innerText(),
      "host11.service4711.calls",
    );
    assert.match(page.url(), /q=service4711/);
    await page.getByRole("status").getByText("1 of 1 shown, 10,000 in all").waitFor();

    await page.locator("#q").fill("host7.*.calls");
    await page.locator("#shown").getByText("100 of 100 shown, 10,000 in all").waitFor();
    await page.locator("#q").fill("");
    await page.getByRole("button", { name: "Now" }).click();
    await until(
      "the largest first",
      async () =>
        (await page.locator("table.series tbody a").first().innerText()) ===
        "host99.service9999.calls",
    );
    const head = page.locator("thead th", { hasText: "Now" });
    assert.equal(await head.getAttribute("aria-sort"), "descending");
    await page.locator("#kind").selectOption("gauge");
    await page.getByText("No series matches").waitFor();
    await page.locator("#kind").selectOption("");
    await page.getByRole("button", { name: "Show 1,000" }).click();
    await page.locator("#shown").getByText("1,000 of 10,000 shown").waitFor();
    // What has no place in the history is said.
    assert.match(await textOf(page, "#kept"), /^History: 0 series need 0\sB of 4.0\sMiB once/);
    calm(page);
    await leave(page);
  }));

test("the page states what does not fit into the history", () =>
  serving({ admin: { bind: "127.0.0.1:0", history_memory: "16k" } }, async (server) => {
    const lines = Array.from({ length: 200 }, (_, at) => `host.service${at}.calls:1|c`);
    await server.send(lines);
    const page = await visit(server.url);
    await page
      .getByText(/^History: [\d,]+ series need 1[456]\S*\sKiB of 16\S*\sKiB .*more do not fit and have no chart/)
      .waitFor();
    const { series } = await server.ask("series?n=1000");
    const left = series.find((one) => !one.history);
    await page.goto(`${server.url}#series=${left.name}&type=counter`);
    await page.getByText("The history of this series is not kept").waitFor();
    calm(page);
    await leave(page);
  }));

test("a lost server is shown, and the page recovers by itself", () =>
  serving({}, async (server) => {
    await server.send(["shop.orders:1|c"]);
    const page = await visit(server.url);
    await row(page, "shop.orders").waitFor();
    const ports = { admin: server.admin, udp: server.udp };
    await server.stop("SIGKILL");
    await page.locator("#banner").getByText("The server does not answer").waitFor();
    assert.match(await textOf(page, "#banner"), /since \d\d:\d\d:\d\d/);
    await page.getByRole("status").getByText("The server does not answer").waitFor();
    // What was known stays on the page.
    assert.ok(await row(page, "shop.orders").isVisible());
    assert.deepEqual(await violations(page), []);
    await shoot(page, "lost");

    const again = await Server.start({}, ports);
    try {
      await page.locator("#banner").getByText("The server restarted at").waitFor();
      await again.send(["shop.carts:1|c"]);
      await row(page, "shop.carts").waitFor();
      await page.locator("#banner strong").waitFor({ state: "detached" });
      await leave(page);
    } finally {
      await again.end();
    }
  }));

test("names full of HTML are text", () =>
  serving(
    { statsd: { flush_interval: "1h", align_flush: "no", sanitize_keys: "no" } },
    async (server) => {
      const names = [
        "<img/src=x/onerror=window.bad=1>",
        "<script>window.bad=1</script>",
        '"><svg/onload=window.bad=1>',
        "a&lt;b&amp;",
        "javascript:window.bad=1//",
        "x".repeat(500),
      ];
      await server.send(
        names.map((name) => `${name}:1|g`).filter((line) => !/:.*:/.test(line.slice(0, -4))),
      );
      const info = await server.ask("series");
      assert.ok(info.series.length >= 4, JSON.stringify(info));
      const page = await visit(server.url);
      for (const { name, kind } of info.series) {
        const link = page.locator("table.series tbody a", { hasText: name.slice(0, 60) }).first();
        await link.waitFor();
        assert.equal(await link.textContent(), name);
        await link.click();
        await until(
          "its title",
          async () => (await page.locator("#detail-title").textContent()) === name,
        );
        assert.equal(new URLSearchParams(new URL(page.url()).hash.slice(1)).get("series"), name);
        assert.equal(new URLSearchParams(new URL(page.url()).hash.slice(1)).get("type"), kind);
        await page.keyboard.press("Escape");
      }
      await page.locator("#q").fill("<img src=x onerror=window.bad=1>");
      await page.getByText("No series matches").waitFor();
      assert.equal(await page.evaluate(() => window.bad), undefined);
      assert.equal(await page.locator("main img, main script").count(), 0);
      const width = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(width <= 0, "a long name makes the page no wider");
      calm(page);
      await leave(page);
    },
  ));

test("without a mouse: skip link, filter, sort, chart and back", () =>
  serving({ statsd: { flush_interval: "1h", align_flush: "no" } }, async (server) => {
    await server.send(["a.one:1|c", "a.two:2|c", "b.three:3|c"]);
    const page = await visit(server.url);
    await row(page, "a.one").waitFor();
    const focused = () =>
      page.evaluate(() => document.activeElement.textContent || document.activeElement.id);
    await page.keyboard.press("Tab");
    assert.equal(await focused(), "Skip to the series");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    assert.equal(await focused(), "q");
    await page.keyboard.type("a.t");
    await page.locator("#shown").getByText("1 of 1 shown").waitFor();
    const reach = async (wanted) => {
      for (let at = 0; at < 20; at += 1) {
        if ((await focused()) === wanted) return;
        await page.keyboard.press("Tab");
      }
      assert.fail(`Tab does not reach ${wanted}`);
    };
    await reach("Now");
    await page.keyboard.press("Enter");
    await until("the sort", () => page.url().includes("sort=-value"));
    await reach("a.two");
    await page.keyboard.press("Enter");
    await page.locator("#detail").waitFor();
    await until("the title", async () => (await focused()) === "a.two");
    await page.keyboard.press("Tab");
    await until("its close button or a part of the panel", () =>
      page.evaluate(() => document.getElementById("detail").contains(document.activeElement)),
    );
    await page.keyboard.press("Escape");
    assert.equal(await focused(), "a.two");
    await page.keyboard.press("/");
    assert.equal(await focused(), "q");
    await page.goBack();
    await page.locator("#detail").waitFor();
    calm(page);
    await leave(page);
  }));

test("axe-core finds nothing in light and dark, and a phone shows all", async () =>
  serving({ carbon: { address: await carbon() } }, async (server) => {
    const load = traffic(server);
    const past = () => server.ask("history?name=shop.time&kind=timer");
    await until("some flushes", async () => (await past()).points?.length > 60, 90_000);
    const phone = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true };
    for (const [name, options] of [
      ["light", {}],
      ["dark", { colorScheme: "dark" }],
      ["phone", { ...phone, hasTouch: true }],
      ["phone-dark", { ...phone, colorScheme: "dark" }],
    ]) {
      const page = await visit(server.url, options);
      await row(page, "shop.requests").waitFor();
      await until("the rate", async () => (await numberOf(page, "#tile-lines .value")) > 0);
      const line = page.locator("#tile-memory polyline");
      await until("the sparklines", async () => (await line.getAttribute("points"))?.length > 60);
      const rates = page.locator("#senders tbody td:nth-of-type(2)");
      await until("the rates of senders", async () => /^\d/.test(await rates.first().innerText()));
      await shoot(page, `page-${name}`);
      await page.locator("#figures summary").click();
      await page.locator("#figure-list table").first().waitFor();
      assert.deepEqual(await violations(page), [], name);
      const width = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(width <= 0, `${name}: ${width} px too wide`);
      await page.locator("#figures summary").click();
      await row(page, "shop.time").locator("a").click();
      await page.locator("#detail .u-over").first().waitFor();
      await page.locator("#detail details summary").click();
      assert.deepEqual(await violations(page), [], `${name}, with a chart`);
      await page.locator("#detail details summary").click();
      await page.evaluate(() => {
        scrollTo(0, 0);
        document.getElementById("detail").scrollTo(0, 0);
      });
      await shoot(page, `chart-${name}`);
      calm(page);
      await leave(page);
      // From the second on there is something wrong.
      await server.send(["nonsense", "shop.bad:x|c", `${"long.".repeat(60)}name:1|c`]);
    }
    load.stop();
  }));
