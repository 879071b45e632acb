// The browsers of bench/console: lines on stdin are wishes, each is answered by a line of JSON.
//   here, elsewhere  every page follows the numbers of that console     nowhere  every page is empty
//   count            how many ticks have reached the pages so far
import path from "node:path";
import readline from "node:readline";
import { createRequire } from "node:module";
const here = path.dirname(new URL(import.meta.url).pathname);
const { chromium } = createRequire(path.join(here, "../test/console/x.js"))("playwright-core");

const { BROWSERS } = process.env;
const consoles = JSON.parse(process.env.CONSOLES);
const views = ["/", "/queues", "/queue?vhost=%2F&name=traffic"];
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
let ticks = 0;
const pages = {};
// Of each console a context of its own: cookies do not tell ports apart.
for (const [name, console] of Object.entries(consoles)) {
  pages[name] = [];
  for (let n = 0; n < Number(BROWSERS); ++n) {
    const context = await browser.newContext();
    const page = await context.newPage();
    page.setDefaultTimeout(120_000);
    const debug = await context.newCDPSession(page);
    await debug.send("Network.enable");
    debug.on("Network.eventSourceMessageReceived", (event) => { if (event.eventName === "tick") ++ticks; });
    await page.goto(console);
    await page.getByLabel("User").fill(`viewer-${n}`);
    await page.getByLabel("Password").fill(`viewer-${n}`);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("heading", { level: 1 }).waitFor();
    await page.goto("about:blank");
    pages[name].push(page);
  }
}

const answer = () => console.log(JSON.stringify({ ticks }));
answer();
for await (const wish of readline.createInterface({ input: process.stdin })) {
  if (wish !== "count") {
    await Promise.all(Object.entries(pages).flatMap(([name, all]) => all.map((page, n) =>
      page.goto(name === wish ? consoles[name] + views[n % views.length] : "about:blank", { waitUntil: "commit" }))));
  }
  answer();
}
await browser.close();
