import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { drawWelcome, welcomePath } from "./make-welcome.ts";

describe("welcome.pdf", () => {
  // The drawing library computes in another order on other processors.
  it.runIf(process.arch === "x64")("is, byte for byte, what its sources draw", async () => {
    const [shipped, drawn] = await Promise.all([readFile(welcomePath), drawWelcome()]);
    expect(drawn.equals(shipped), "run node samples/make-welcome.ts").toBe(true);
  });
});
