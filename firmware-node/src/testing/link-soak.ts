/**
 * One seeded run of the link's soak: a job over a line with faults drawn by lot, while cuts, stalls, power cuts of engine and
 * controller, and jams happen, somebody cancels, and some engines never come back; some jobs wait for faults to pass, and some
 * are over with the first. In virtual time, so that a stall of 30 s costs nothing, and the same each time.
 */
import { type LineFaults, randomInt, seededRandom } from "@platen/hw/link";
import { PlatenError } from "@platen/proto";
import { jobKeyOf } from "../adapters/serial-engine.ts";
import { mistakesOf, printSheets, randomSheet } from "./print-sheets.ts";
import { VirtualEngine } from "./virtual-engine.ts";

export interface SoakResult {
  readonly seed: number;
  /** `printed`: exactly its sheets. Else the code of the typed error that ended it. */
  readonly outcome: string;
  /** What must not be: empty in every run. */
  readonly mistakes: readonly string[];
  readonly sheets: number;
  readonly virtualS: number;
  readonly faults: LineFaults;
  /** What was done to it, in order. */
  readonly events: readonly string[];
}

const bitErrorRates = [0, 1e-6, 1e-5, 1e-4, 3e-4, 1e-3];

/** No job here needs so long, whatever happens to it: one that does hangs. */
const limitMs = 4 * 3_600_000;

export async function soakRun(seed: number): Promise<SoakResult> {
  const random = seededRandom(seed);
  const rarely = (rate: number): number => (random() < 0.3 ? rate * random() : 0);
  const faults: LineFaults = {
    bitErrorRate: bitErrorRates[randomInt(random, 0, bitErrorRates.length - 1)]!,
    burstRate: rarely(0.01),
    dropRate: rarely(0.02),
    duplicateRate: rarely(0.05),
    reorderRate: rarely(0.05),
    delayMs: rarely(60),
    jitterMs: rarely(60),
  };
  const engine = new VirtualEngine({
    seed,
    faults,
    mechanics: { rowsPerSecond: randomInt(random, 100, 4000), warmUpMs: randomInt(random, 0, 2000) },
  });
  const jobId = `job-${seed}`;
  const jobKey = jobKeyOf(jobId);
  const sheets = Array.from({ length: randomInt(random, 1, 4) }, () => randomSheet(random));
  const mistakes: string[] = [];
  const events: string[] = [];

  /** Sheets that a driver has told of: from then on they must not come again. */
  let told = 0;
  engine.model.listen((event) => {
    if (event.kind === "sheet-stacked" && event.sheetNumber <= told) {
      mistakes.push(`sheet ${event.sheetNumber} was printed again after it was told of`);
    }
  });

  /** The `cancel` policy of S1411: the first fault is the end. */
  const cancelsOnFault = random() < 0.15;
  const cancel = new AbortController();
  const cancelJob = (): void => cancel.abort(new PlatenError("canceled", "somebody canceled the job"));

  let finished = false;
  let gone = false;
  let driver = await engine.openDriver(limitMs);
  const attempt = () => {
    const by = driver;
    return printSheets({
      driver: by,
      jobId,
      sheets,
      signal: cancel.signal,
      onFault(reasons) {
        if (by === driver && cancelsOnFault) throw new PlatenError("engine-fault", String(reasons));
      },
      // What a controller that has lost its power hears does not count.
      onStacked: (sheet) => {
        if (by === driver) told = Math.max(told, sheet);
      },
    });
  };
  let printing: Promise<void>;
  const outcome = Promise.withResolvers<string>();
  const follow = (): void => {
    const current = attempt();
    printing = current;
    current.then(
      () => printing === current && outcome.resolve("printed"),
      (error: unknown) => {
        if (printing !== current) return;
        if (error instanceof PlatenError) outcome.resolve(error.code);
        else outcome.reject(error);
      },
    );
  };
  follow();

  const calamities: Readonly<Record<string, () => void | Promise<void>>> = {
    stall() {
      const ms = randomInt(random, 100, 30_000);
      engine.forth.stall(ms);
      if (random() < 0.7) engine.back.stall(ms);
    },
    cut() {
      const ms = randomInt(random, 10, 20_000);
      if (random() < 0.7) engine.forth.cut(ms);
      engine.back.cut(ms);
    },
    jam() {
      engine.model.fail("media-jam");
      engine.clock.after(randomInt(random, 0, 20_000), () => engine.model.remedy());
    },
    "engine power cut"() {
      engine.powerOff();
      engine.clock.after(randomInt(random, 0, 10_000), () => gone || engine.powerOn());
    },
    "engine gone for good, and somebody cancels"() {
      gone = true;
      engine.powerOff();
      engine.clock.after(randomInt(random, 0, 60_000), cancelJob);
    },
    "somebody cancels": cancelJob,
    async "host power cut"() {
      const opening = engine.openDriver(limitMs);
      // The one before is deaf and dumb from here on.
      driver = await opening;
      follow();
    },
  };
  const names = Object.keys(calamities);
  const trouble = (async () => {
    for (let left = randomInt(random, 0, 4); left > 0; left--) {
      await new Promise<void>((resolve) => engine.clock.after(randomInt(random, 1, 1200), resolve));
      if (finished) return;
      const name = names[randomInt(random, 0, names.length - 1)]!;
      events.push(name);
      await calamities[name]!();
    }
  })();
  let end: string;
  try {
    end = await engine.run(outcome.promise, limitMs);
  } catch (error) {
    end = "failed";
    mistakes.push(error instanceof Error ? error.message : String(error));
  }
  finished = true;
  await engine.run(trouble, limitMs).catch(() => {});
  if (end === "canceled" || end === "engine-fault") {
    await engine.run(driver.abort(), limitMs);
    // Nobody sends any more: what the engine has it stacks or throws out, the latter after a minute of silence at the latest.
    await driver[Symbol.asyncDispose]();
    await engine.pass(120_000);
    if (engine.model.inPath.length > 0) mistakes.push("a sheet stays in the path");
  }
  const stacked = end === "printed" ? sheets.length : engine.model.stackedOf(jobKey);
  mistakes.push(...mistakesOf(engine.model, jobKey, sheets.slice(0, stacked)));
  return {
    seed,
    outcome: end,
    mistakes,
    sheets: sheets.length,
    virtualS: Math.round(engine.clock.nowMs() / 1000),
    faults,
    events,
  };
}
