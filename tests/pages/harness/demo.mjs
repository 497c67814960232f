// The running demo: a main site and two partners on real servers, each on a loopback port of its own.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** How long the demo may take to bring its sites up. */
const MOST_MILLISECONDS = 120_000;

export class Demo {
  /** Name, where it is served, and the address that its own pages give: `{name, origin, base}`. */
  sites = [];
  #child;

  /** Starts the demo, lets the first release of each partner through, and waits until all sites are up; `args` are the demo's. */
  static async start(program, args = []) {
    const demo = new Demo();
    demo.#child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
    const told = [];
    const late = setTimeout(() => demo.#child.kill("SIGKILL"), MOST_MILLISECONDS);
    for await (const line of createInterface({ input: demo.#child.stdout })) {
      told.push(line);
      const [, address, name] = /^ {2}(http:\/\/\S+)\/ {3}([a-z-]+),/.exec(line) ?? [];
      if (name) {
        demo.sites.push({ name, origin: address, base: baseOf(name) });
      } else if (line.startsWith("Ctrl-C")) {
        demo.#child.stdin.write("a\n");
      } else if (line.endsWith(" is live")) {
        break;
      }
    }
    clearTimeout(late);
    if (demo.sites.length === 0 || demo.#child.exitCode !== null) {
      throw new Error(`the demo did not come up:\n${told.join("\n")}`);
    }
    // What else it says is of no interest, but must not fill the pipe.
    demo.#child.stdout.resume();
    return demo;
  }

  /** Ends it as Ctrl-C does: its folder is removed. */
  async stop() {
    if (this.#child.exitCode === null && this.#child.kill("SIGINT")) {
      await once(this.#child, "exit");
    }
  }
}

/** `base_url` of a site's own file. */
function baseOf(name) {
  const file = fileURLToPath(new URL(`../../../sites/${name}/site.yaml`, import.meta.url));
  return /^base_url: *(\S+?)\/?$/m.exec(readFileSync(file, "utf8"))[1];
}
