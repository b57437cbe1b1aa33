import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EngineModel } from "@platen/hw";
import type { EngineCapabilities } from "../ports/engine-driver.ts";
import { engineDriverContract } from "../ports/engine-driver.contract.ts";
import { dotsOfSheet } from "../testing/dots.ts";
import { readSheet } from "../testing/png.ts";
import { PngSink } from "./png-sink.ts";
import { SimulatedEngine } from "./simulated-engine.ts";

const capabilities: EngineCapabilities = {
  makeAndModel: "test",
  colorants: ["cyan", "magenta", "yellow", "black"],
  resolutionsDpi: [300],
  duplex: true,
};

const temporaryFolder = () => mkdtemp(join(tmpdir(), "platen-sheets-"));

engineDriverContract("the PNG sink", async () => {
  const root = await temporaryFolder();
  const driver = new PngSink(root, capabilities);
  return {
    driver,
    dots: (jobId, sheetNumber) => readSheet(driver.outputLocation(jobId), sheetNumber),
    [Symbol.asyncDispose]: async () => {
      await driver[Symbol.asyncDispose]();
      await rm(root, { recursive: true });
    },
  };
});

engineDriverContract("the simulated engine", async () => {
  const model = new EngineModel({ keepSheets: true });
  const driver = new SimulatedEngine(model, capabilities);
  return {
    driver,
    dots: async (jobId, sheetNumber) => {
      const sheet = model.sheets.find((one) => one.jobId === jobId && one.sheetNumber === sheetNumber);
      if (!sheet) return undefined;
      const planes = dotsOfSheet(sheet);
      return Object.fromEntries(sheet.sides.map(({ side }, i) => [side, planes[i]!]));
    },
    [Symbol.asyncDispose]: () => driver[Symbol.asyncDispose](),
  };
});

engineDriverContract("the simulated engine that keeps its sheets as PNG", async () => {
  const root = await temporaryFolder();
  const driver = new SimulatedEngine(new EngineModel(), capabilities, { root });
  return {
    driver,
    dots: (jobId, sheetNumber) => readSheet(driver.outputLocation(jobId), sheetNumber),
    [Symbol.asyncDispose]: async () => {
      await driver[Symbol.asyncDispose]();
      await rm(root, { recursive: true });
    },
  };
});
