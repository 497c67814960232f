// What a check gets: the sites, a browser, and the programs of this workspace. Everything is made when it is first
// asked for, and put away by `close`.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { Demo } from "./demo.mjs";
import { crawl } from "./crawl.mjs";

/** The folder of the checks. */
export const here = fileURLToPath(new URL("..", import.meta.url));

/** The root of the repository. */
export const root = fileURLToPath(new URL("../../..", import.meta.url));

/** How long the browser may take to close. */
const MOST_MILLISECONDS = 10_000;

/** Chromium talks to nobody but the pages. As root, which is what a build machine gives, it has no sandbox. */
export const CHROMIUM_FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export class World {
  /** @type {import("./crawl.mjs").Site[]} the main site and its partners, crawled; there once `ready` is done. */
  sites = [];
  #demo;
  #browser;
  #folder;

  /** Where a program lies; undefined where it does not. */
  path(program) {
    return process.env.PATH.split(delimiter).map((folder) => join(folder, program)).find((file) => existsSync(file));
  }

  has(program) {
    return this.path(program) !== undefined;
  }

  /** Starts the servers and reads all that they serve, once. */
  async ready() {
    if (this.#demo === undefined) {
      this.#demo = await Demo.start(this.program("tieup-examples", "demo"));
      this.sites = await Promise.all(this.#demo.sites.map(crawl));
    }
  }

  /** One Chromium for all checks; make a context of your own in it. */
  async browser() {
    this.#browser ??= await chromium.launch({ executablePath: this.path("chromium"), args: CHROMIUM_FLAGS });
    return this.#browser;
  }

  /** The path of a program of this workspace: in the folder `TIEUP_PROGRAMS`, else built first. */
  program(crate, name) {
    if (process.env.TIEUP_PROGRAMS) {
      return join(process.env.TIEUP_PROGRAMS, name);
    }
    const command = ["build", "--locked", "--quiet", "--package", crate, "--bin", name, "--message-format", "json"];
    const built = spawnSync("cargo", command, { cwd: root, encoding: "utf8", maxBuffer: 1 << 28 });
    if (built.status !== 0) {
      throw new Error(`cargo ${command.join(" ")} failed\n${built.stderr}`);
    }
    const messages = built.stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line));
    return messages.find((message) => message.executable && message.target.name === name).executable;
  }

  /** A folder that lasts as long as the run. */
  async folder() {
    this.#folder ??= await mkdtemp(join(tmpdir(), "tieup-pages-"));
    return this.#folder;
  }

  async close() {
    // A browser that does not answer any more must not hold up the end.
    await Promise.race([this.#browser?.close(), setTimeout(MOST_MILLISECONDS, undefined, { ref: false })]);
    await this.#demo?.stop();
    if (this.#folder) {
      await rm(this.#folder, { recursive: true, force: true });
    }
  }
}
