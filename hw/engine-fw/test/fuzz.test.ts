/** A short run of the fuzzer, so that it goes on working and finds what is near. Longer: `make -C hw/engine-fw fuzz`. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { buildFirmware } from "./build.ts";

const run = promisify(execFile);

test("libFuzzer: nothing that comes makes the C engine read or write outside its buffers", async () => {
  await using build = await buildFirmware("fuzz");
  const corpus = await mkdtemp(join(tmpdir(), "platen-corpus-"));
  try {
    await run(process.execPath, [fileURLToPath(new URL("corpus.ts", import.meta.url)), corpus]);
    // A seed, so that a run that fails can be had again. It rejects with the fuzzer's words and the input that did it.
    const { stderr } = await run(
      build.path,
      ["-seed=1", "-runs=60000", "-max_len=4096", `-artifact_prefix=${corpus}/`, corpus],
      { maxBuffer: 1 << 24 },
    );
    const covered = /INITED cov: (\d+)/.exec(stderr)?.[1];
    // The golden vectors alone reach most of the engine: else the corpus has gone stale.
    expect(Number(covered)).toBeGreaterThan(180);
  } finally {
    await rm(corpus, { recursive: true });
  }
});
