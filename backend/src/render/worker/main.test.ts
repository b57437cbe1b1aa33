import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

/** Paths of the CommonJS modules that a process has loaded once it has imported this one. */
async function loadedBy(specifier: string): Promise<string[]> {
  const script = `
    import { createRequire } from "node:module";
    await import(${JSON.stringify(specifier)});
    process.stdout.write(JSON.stringify(Object.keys(createRequire(import.meta.url).cache)), () => process.exit());`;
  const cwd = fileURLToPath(new URL(".", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], {
    cwd,
  });
  return JSON.parse(stdout) as string[];
}

const ofGrpc = (paths: string[]): string[] => paths.filter((path) => path.includes("/@grpc/"));

test("a render worker loads no gRPC: there are many of them, and each would hold it", async () => {
  const [worker, all] = await Promise.all([
    loadedBy(new URL("main.ts", import.meta.url).href),
    loadedBy("@platen/proto"),
  ]);
  expect(ofGrpc(all)).not.toEqual([]);
  expect(worker.some((path) => path.includes("/sharp/"))).toBe(true);
  expect(ofGrpc(worker)).toEqual([]);
});
