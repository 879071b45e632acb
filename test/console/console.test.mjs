// Drives the console as a person would, through what a screen reader would find. Started by
// test_console.py, which has the broker. Waits are for what appears, never for time to pass.
import assert from "node:assert/strict";
import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const { CONSOLE, BROKER_PID, EVIL, LANDFALL_SCREENSHOTS } = process.env;
const axeSource = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SECONDS = 15;

let browser;
let page;
/** What the browser complained about: a breach of the Content-Security-Policy, or an exception. */
const complaints = [];
const foreign = [];

async function newPage() {
  const context = await browser.newContext({ viewport: { width: 1360, height: 860 }, colorScheme: "light", locale: "en-US" });
  context.setDefaultTimeout(SECONDS * 1000);
  const made = await context.newPage();
  made.on("console", (message) => /Content.Security.Policy|violates/i.test(message.text()) && complaints.push(message.text()));
  made.on("pageerror", (error) => complaints.push(String(error)));
  made.on("request", (request) => !request.url().startsWith(CONSOLE) && !request.url().startsWith("blob:") && foreign.push(request.url()));
  return made;
}

async function logIn(where, user, password) {
  await where.goto(`${CONSOLE}/`);
  await where.getByLabel("User", { exact: true }).fill(user);
  await where.getByLabel("Password", { exact: true }).fill(password);
  await where.getByRole("button", { name: "Log in" }).click();
}

async function go(path) {
  await page.goto(`${CONSOLE}${path}`);
  await page.getByRole("heading", { level: 1 }).waitFor();
}

const queuePath = (name, tab) => `/queue?${new URLSearchParams({ vhost: "/", name, ...(tab ? { tab } : {}) })}`;
const tile = (label) => page.locator(".tile", { hasText: label }).locator(".tile-value").first();
const dialog = (where = page) => where.getByRole("dialog");

before(async () => {
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
  page = await newPage();
});

after(async () => browser?.close());

test("a wrong password does not open it, the right one does", async () => {
  await logIn(page, "guest", "wrong");
  await page.getByRole("alert").filter({ hasText: "wrong" }).waitFor();
  await logIn(page, "guest", "guest");
  await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
  const kept = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie);
  assert.equal(kept.includes("landfall_session"), false, "scripts can read the session");
});

test("numbers move by themselves", async () => {
  await go(queuePath("traffic"));
  const accepted = page.locator(".ledger strong").first();
  const start = await accepted.textContent();
  await page.waitForFunction((text) => document.querySelector(".ledger strong")?.textContent !== text, start);
  await page.getByText("Live", { exact: true }).waitFor();
  await page.waitForFunction(() => [...document.querySelectorAll(".tile")].some((one) => one.textContent.startsWith("Published") && Number(one.querySelector(".tile-value").textContent) > 0));
});

test("a queue is declared, published to and looked into", async () => {
  await go("/queues");
  await page.getByRole("button", { name: "Declare a queue" }).click();
  await dialog().getByLabel("Name", { exact: true }).first().fill("fresh");
  await dialog().getByRole("button", { name: "Declare" }).click();
  await page.getByRole("heading", { name: "fresh" }).waitFor();
  await page.getByRole("button", { name: "Publish" }).click();
  await dialog().getByLabel("Body").fill('{"drink": "coffee"}');
  await dialog().getByRole("button", { name: "Publish" }).click();
  await dialog().filter({ hasText: "Publish to fresh" }).waitFor({ state: "hidden" });
  await page.waitForFunction(() => document.querySelector(".tile .tile-value")?.textContent === "1");
  await page.getByRole("tab", { name: "Messages" }).click();
  await page.locator(".message summary").click();
  await page.locator(".message-body pre").filter({ hasText: '"drink": "coffee"' }).waitFor();
  assert.equal(await tile("Ready").textContent(), "1", "looking took it out");
});

test("a queue is paused and resumed", async () => {
  await go(queuePath("fresh"));
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Pause" }).click();
  await page.getByRole("button", { name: "Resume" }).waitFor();
  await page.locator(".badges").filter({ hasText: "paused" }).waitFor();
  await go("/");
  await page.getByText("Queue 'fresh' is paused, with 1 message waiting.").waitFor();
  await go(queuePath("fresh"));
  await page.getByRole("button", { name: "Resume" }).click();
  await page.getByRole("button", { name: "Pause" }).waitFor();
});

test("the search of a peek finds a message by its body", async () => {
  await go(queuePath("orders.failed", "messages"));
  await page.locator(".message").nth(6).waitFor();
  await page.getByLabel("In headers or body").fill('"order": 3,');
  await page.getByRole("button", { name: "Look" }).click();
  await page.waitForFunction(() => document.querySelectorAll(".message").length === 1);
});

test("dead letters are grouped, and redriven after a dry run", async () => {
  await go("/dead-letters");
  await page.getByRole("button", { name: "Look into orders.failed" }).click();
  await page.getByRole("row", { name: /rejected.*orders\.created/ }).waitFor();
  await page.getByRole("button", { name: "Redrive", exact: true }).first().click();
  await dialog().getByRole("button", { name: "Dry run" }).click();
  await dialog().getByText(/^7 of \d+ messages match/).waitFor();
  await dialog().getByRole("button", { name: "Redrive 7" }).click();
  await dialog().getByText("7 of 7 moved").waitFor();
  await dialog().getByText("done", { exact: true }).waitFor();
  await dialog().getByRole("button", { name: "Close" }).last().click();
  await go(queuePath("orders.created"));
  await page.waitForFunction(() => document.querySelector(".tile .tile-value")?.textContent === "12");
});

test("a message's story is found by its id", async () => {
  await go("/trace");
  await page.getByRole("textbox", { name: "Value" }).fill("coffee-1");
  await page.getByRole("button", { name: "Search" }).click();
  const story = page.locator(".timeline");
  for (const event of ["Received from its publisher", "Landed: on stable storage", "Delivered", "Acknowledged"]) await story.getByText(event, { exact: true }).waitFor();
});

test("a routing key shows where a message would go", async () => {
  await go("/topology?vhost=%2F&exchange=shop");
  await page.getByLabel("Routing key").fill("order.paid");
  await page.getByRole("button", { name: "Try", exact: true }).click();
  const reached = await page.locator(".route .badge").allTextContents();
  assert.deepEqual(reached.sort(), ["audit.log", "orders.paid"]);
  await page.locator(".node.queue.lit", { hasText: "orders.paid" }).waitFor();
  await page.getByLabel("Exchange").selectOption("");
  await page.getByLabel("Routing key").fill("no such queue");
  await page.getByRole("button", { name: "Try", exact: true }).click();
  await page.getByText("Goes nowhere").waitFor();
});

test("a policy is added, changed and in force", async () => {
  await go("/policies");
  await page.getByRole("button", { name: "Add a policy" }).click();
  await dialog().getByLabel("Name", { exact: true }).first().fill("short-lived");
  await dialog().getByLabel("Pattern").fill("^audit\\.");
  await dialog().getByText("Matches 1 queues now.").waitFor();
  await dialog().locator(".pair input").first().fill("message-ttl");
  await dialog().getByLabel("Value").fill("600000");
  await dialog().getByRole("button", { name: "Save" }).click();
  await page.getByText("message-ttl = 600000").waitFor();
  await page.getByRole("button", { name: "Edit short-lived" }).click();
  await dialog().getByLabel("Value").fill("700000");
  await dialog().getByRole("button", { name: "Save" }).click();
  await page.getByText("message-ttl = 700000").waitFor();
  await go(queuePath("audit.log"));
  await page.getByText("700000").waitFor();
});

test("a user with rights is refused what is beyond them", async () => {
  await go("/users");
  await page.getByRole("button", { name: "Add a user" }).click();
  await dialog().getByLabel("Name", { exact: true }).fill("eve");
  await dialog().getByLabel("Password").fill("adam");
  await dialog().getByLabel("Full permissions in /").uncheck();
  await dialog().getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: "Edit eve" }).waitFor();
  await page.getByRole("tab", { name: "Permissions" }).click();
  await page.getByRole("button", { name: "Set permissions" }).click();
  await dialog().getByLabel("User").selectOption("eve");
  for (const right of ["Configure", "Write", "Read"]) await dialog().getByLabel(right).fill("^eve\\.");
  await dialog().getByRole("button", { name: "Save" }).click();
  await page.getByRole("row", { name: /eve.*\^eve/ }).waitFor();

  const eve = await newPage();
  await logIn(eve, "eve", "adam");
  await eve.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
  assert.equal(await eve.getByRole("link", { name: "Users", exact: true }).count(), 0);
  await eve.goto(`${CONSOLE}/users`);
  await eve.getByText("There is no such page").waitFor();
  await eve.goto(`${CONSOLE}/queues`);
  await eve.getByRole("button", { name: "Declare a queue" }).click();
  await dialog(eve).getByLabel("Name", { exact: true }).first().fill("not-hers");
  await dialog(eve).getByRole("button", { name: "Declare" }).click();
  await dialog(eve).getByRole("alert").waitFor();
  await dialog(eve).getByLabel("Name", { exact: true }).first().fill("eve.own");
  await dialog(eve).getByRole("button", { name: "Declare" }).click();
  await eve.getByRole("heading", { name: "eve.own" }).waitFor();
  await eve.context().close();
});

test("script in names, headers and bodies stays text", async () => {
  await go(`/queues`);
  await page.getByRole("searchbox").fill("onerror");
  await page.getByRole("link", { name: EVIL }).click();
  await page.getByRole("heading", { name: EVIL }).waitFor();
  await page.getByRole("tab", { name: "Messages" }).click();
  await page.locator(".message summary").click();
  await page.locator(".message-body pre").filter({ hasText: EVIL }).waitFor();
  await go(`/trace?${new URLSearchParams({ vhost: "/", message_id: EVIL })}`);
  await go("/topology");
  await page.getByLabel("Also what is not bound").check();
  await page.getByRole("searchbox").fill("onerror");
  await page.locator(".node.queue", { hasText: "many." }).first().waitFor({ state: "hidden" });
  await page.locator(".node.queue", { hasText: "onerror" }).waitFor();
  assert.equal(await page.locator("img").count(), 0);
  assert.notEqual(await page.title(), "owned");
});

test("script in an address stays text", async () => {
  const evil = encodeURIComponent(EVIL);
  for (const path of [`/queue?vhost=${evil}&name=${evil}&tab=${evil}`, `/exchange?vhost=%2F&name=${evil}`, `/trace?header=${evil}&by=${evil}`, `/dead-letters?vhost=%2F&name=${evil}`, `/topology?exchange=${evil}`, `/${evil}`, "/queue?name=javascript:alert(1)"]) {
    await page.goto(`${CONSOLE}${path}`);
    await page.locator("main").waitFor();
    await page.locator("main .loading").first().waitFor({ state: "hidden" });
    assert.equal(await page.locator("img").count(), 0, path);
    assert.notEqual(await page.title(), "owned", path);
  }
  const answer = await page.goto(`${CONSOLE}/api/queues/%2F/${evil}-not-there`);
  assert.equal(answer.status(), 404);
  assert.match(answer.headers()["content-type"], /^application\/json/);
  assert.equal(answer.headers()["x-content-type-options"], "nosniff");
  assert.equal(await page.locator("img").count(), 0);
});

/** Asks as the console does, with its session; `headers` in place of its own. */
const ask = (method, path, body, headers = { "X-Landfall-Console": "1" }) =>
  page.evaluate(async ([method, path, body, headers]) => {
    const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
    return { status: answer.status, text: await answer.text() };
  }, [method, path, body, headers]);

test("a page of somebody else changes nothing with the session, and cannot frame the console", async () => {
  // Of the same host, so that the browser sends the cookie along: only the broker can refuse.
  const message = JSON.stringify({ properties: {}, routing_key: "fresh", payload: "forged", payload_encoding: "string" });
  const publish = `${CONSOLE}/api/exchanges/%2F/amq.default/publish`;
  const server = http.createServer((request, response) => {
    response.setHeader("Content-Type", "text/html");
    response.end(`<form method="post" enctype="text/plain" action="${publish}"><input name='${message.slice(0, -1)}, "x": "' value='"}'><button>Win</button></form><iframe src="${CONSOLE}/"></iframe>`);
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const other = await page.context().newPage();
  try {
    await go("/");
    const before = JSON.parse((await ask("GET", "/api/queues/%2F/fresh")).text).messages;
    await other.goto(`http://127.0.0.1:${server.address().port}/`);
    const framed = other.frames()[1];
    assert.equal(await framed.locator("input").count().catch(() => 0), 0, "the console is shown in a frame");
    const outcome = await other.evaluate(async ([publish, queue, message]) => {
      const tries = [
        fetch(publish, { method: "POST", mode: "no-cors", credentials: "include", body: message }),
        fetch(publish, { method: "POST", credentials: "include", headers: { "X-Landfall-Console": "1" }, body: message }),
        fetch(queue, { method: "PUT", credentials: "include", body: "{}" }),
        fetch(queue, { credentials: "include" }).then((answer) => answer.text()),
      ];
      return (await Promise.allSettled(tries)).map((one) => one.value?.type ?? one.status);
    }, [publish, `${CONSOLE}/api/queues/%2F/forged`, message]);
    assert.deepEqual(outcome, ["opaque", "rejected", "rejected", "rejected"]);
    const [submitted] = await Promise.all([other.waitForResponse(publish), other.getByRole("button").click()]);
    assert.equal(submitted.status(), 403);
    assert.match((await submitted.request().allHeaders()).cookie ?? "", /landfall_session/, "the browser did not send the session along");
    assert.equal((await ask("PUT", "/api/queues/%2F/forged", {}, {})).status, 403, "without the console's header");
    assert.equal((await ask("GET", "/api/queues/%2F/forged")).status, 404);
    assert.equal(JSON.parse((await ask("GET", "/api/queues/%2F/fresh")).text).messages, before);
  } finally {
    await other.close();
    server.close();
  }
});

test("what is empty tells how to fill it", async () => {
  await go("/");
  assert.equal((await ask("PUT", "/api/vhosts/empty", {})).status, 201);
  assert.ok((await ask("PUT", "/api/permissions/empty/guest", { configure: ".*", write: ".*", read: ".*" })).status < 300);
  await page.reload();
  await page.locator(".vhost-choice select").selectOption("empty");
  const lines = { Queues: "queue_declare", "Dead letters": "x-dead-letter-exchange", Topology: "queue_bind", Connections: "BlockingConnection", "Find a message": "x-trace", Policies: "landfall policies set" };
  for (const [name, line] of Object.entries(lines)) {
    await page.getByRole("navigation").getByRole("link", { name, exact: true }).click();
    await page.locator(".empty pre", { hasText: line }).first().waitFor();
  }
  await page.locator(".vhost-choice select").selectOption("");
  assert.equal((await ask("DELETE", "/api/vhosts/empty")).status, 204);
});

test("ten thousand queues stay usable", async () => {
  await go("/queues");
  await page.getByText(/of 10,0\d\d$/).waitFor();
  await page.getByRole("searchbox").fill("many.0");
  await page.getByText("1 of 100", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Next page" }).click();
  await page.getByRole("link", { name: "many.00150" }).waitFor();
  await page.getByRole("button", { name: "Name", exact: true }).click();
  await page.getByRole("link", { name: "many.09999" }).waitFor();
  assert.ok((await page.locator("tbody tr").count()) <= 101);
});

test("it says when the broker does not answer, and when it does again", async () => {
  await go("/");
  await page.getByText("Live", { exact: true }).waitFor();
  process.kill(Number(BROKER_PID), "SIGSTOP");
  try {
    await page.getByText("The connection to the broker is lost.").waitFor();
  } finally {
    process.kill(Number(BROKER_PID), "SIGCONT");
  }
  await page.getByText("Live", { exact: true }).waitFor();
  await page.getByText("The connection to the broker is lost.").waitFor({ state: "hidden" });
});

test("it says when one user has too many consoles open", async () => {
  await go("/");
  const rights = { configure: "", write: "", read: ".*" };
  assert.equal((await ask("PUT", "/api/users/watcher", { password: "pw", tags: "management" })).status, 201);
  assert.equal((await ask("PUT", "/api/permissions/%2F/watcher", rights)).status, 201);
  const window = await newPage();
  await logIn(window, "watcher", "pw");
  await window.getByText("Live", { exact: true }).waitFor();
  await window.goto("about:blank");
  const headers = { Authorization: `Basic ${Buffer.from("watcher:pw").toString("base64")}` };
  const open = () => new Promise((answered, failed) => http.get(`${CONSOLE}/api/landfall/events`, { headers }, answered).on("error", failed));
  const streams = [];
  // The browser's own counts until the broker has noticed that it is closed.
  while (streams.length < 8) {
    const stream = await open();
    if (stream.statusCode === 200) streams.push(stream);
    else stream.destroy();
  }
  try {
    assert.equal((await open()).statusCode, 429);
    await window.goto(`${CONSOLE}/`);
    await window.getByText("You have as many consoles open as the broker allows one user").waitFor();
  } finally {
    for (const stream of streams) stream.destroy();
  }
  await window.getByText("Live", { exact: true }).waitFor();
  await window.context().close();
  assert.equal((await ask("DELETE", "/api/users/watcher")).status, 204);
});

test("language and theme change, and stay", async () => {
  await go("/settings");
  await page.getByLabel("Language").selectOption("zh");
  await page.getByRole("heading", { name: "设置" }).waitFor();
  await page.getByLabel("主题").selectOption("dark");
  await page.reload();
  await page.getByRole("heading", { name: "设置" }).waitFor();
  assert.equal(await page.locator("html").getAttribute("data-theme"), "dark");
  if (LANDFALL_SCREENSHOTS) await page.screenshot({ path: `${LANDFALL_SCREENSHOTS}/settings-zh.png` });
  // What the broker says of itself as well.
  const set = (what) => page.evaluate((path) => fetch(path, { method: "PUT", headers: { "X-Landfall-Console": "1" } }).then((answer) => answer.status), `/api/queues/%2F/fresh/${what}`);
  assert.equal(await set("pause"), 204);
  await go("/");
  await page.getByText("队列 fresh 已暂停；1 条消息在等待。").waitFor();
  assert.equal(await set("resume"), 204);
  await go("/settings");
  await page.getByLabel("主题").selectOption("system");
  await page.getByLabel("语言").selectOption("en");
});

const pages = {
  overview: "/",
  queues: "/queues",
  queue: queuePath("traffic"),
  "queue-messages": queuePath("payments.failed", "messages"),
  "dead-letters": "/dead-letters?vhost=%2F&name=payments.failed",
  exchanges: "/exchanges",
  exchange: "/exchange?vhost=%2F&name=shop",
  topology: "/topology?vhost=%2F&exchange=shop",
  connections: "/connections",
  trace: "/trace?vhost=%2F&message_id=coffee-1",
  users: "/users",
  policies: "/policies",
  definitions: "/definitions",
  storage: "/storage",
  settings: "/settings",
};

const charts = new Set(["overview", "queue", "storage"]);

for (const scheme of ["light", "dark"]) {
  test(`axe finds nothing serious on any page, ${scheme}`, async () => {
    if (LANDFALL_SCREENSHOTS) fs.mkdirSync(LANDFALL_SCREENSHOTS, { recursive: true });
    await page.emulateMedia({ colorScheme: scheme });
    const found = [];
    for (const [name, path] of Object.entries(pages)) {
      // Charts have something to show when the past has come.
      const past = charts.has(name) && page.waitForResponse((answer) => answer.url().includes("/api/landfall/history"));
      await go(path);
      await past;
      await page.locator("main .loading").first().waitFor({ state: "hidden" });
      await page.getByText("Live", { exact: true }).waitFor();
      if (name === "queue-messages") await page.locator(".message summary").first().click();
      if (name === "topology") {
        await page.getByLabel("Routing key").fill("order.paid");
        await page.getByRole("button", { name: "Try", exact: true }).click();
        await page.locator(".node.queue.lit").first().waitFor();
      }
      if (LANDFALL_SCREENSHOTS) await page.screenshot({ path: `${LANDFALL_SCREENSHOTS}/${name}-${scheme}.png` });
      for (const violation of await axe()) found.push(`${name}: ${violation}`);
    }
    assert.deepEqual(found, []);
  });
}

/** Through the debugger, because the page's policy lets no foreign script in. */
async function axe() {
  const debug = await page.context().newCDPSession(page);
  const run = `${axeSource}; axe.run(document, { resultTypes: ["violations"] }).then((result) => JSON.stringify(
    result.violations.filter((one) => ["serious", "critical"].includes(one.impact)).map((one) => one.id + " " + one.nodes.map((node) => node.html.slice(0, 200)).join(" "))))`;
  const { result } = await debug.send("Runtime.evaluate", { expression: run, awaitPromise: true, returnByValue: true });
  await debug.detach();
  return JSON.parse(result.value);
}

test("logging out ends the session", async () => {
  await page.getByRole("button", { name: "guest" }).click();
  await page.getByRole("menuitem", { name: "Log out" }).click();
  await page.getByLabel("Password").waitFor();
  assert.equal(await page.evaluate(async () => (await fetch("/api/landfall/session", { headers: { "X-Landfall-Console": "1" } })).status), 401);
});

test("the browser had nothing to complain about, and asked nobody else", () => {
  assert.deepEqual(complaints, []);
  assert.deepEqual(foreign, []);
});
