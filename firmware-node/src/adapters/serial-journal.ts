/** What a driver must remember across a power cut of the controller: how many sheets of its jobs are stacked. */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { PlatenError } from "@platen/proto";
import { z } from "zod";

export interface Journal {
  /** Sheets of the job that are known to be stacked. */
  stackedOf(jobKey: string): number;
  /** So many sheets of the job are stacked. It is safe when this returns. */
  save(jobKey: string, sheetsStacked: number): void;
}

/** Jobs that are remembered: those that were at the engine last. */
const jobsKept = 32;

/** Job keys and their sheets, the latest last. */
const schema = z.array(z.tuple([z.string().regex(/^[0-9a-f]{16}$/), z.number().int().min(1)]));

const withJob = (jobs: ReadonlyMap<string, number>, jobKey: string, sheets: number): Map<string, number> => {
  const others = [...jobs].filter(([key]) => key !== jobKey);
  return new Map([...others, [jobKey, sheets] as const].slice(-jobsKept));
};

/**
 * A file. Synchronous on purpose: a sheet is told of only once it is safe, and before anything that comes after it. A file
 * that was damaged counts as none: the engine and the backend remember too. Throws `configuration` when it cannot be written.
 */
export function fileJournal(path: string): Journal {
  let jobs: ReadonlyMap<string, number> = new Map();
  try {
    jobs = new Map(schema.parse(JSON.parse(readFileSync(path, "utf8"))));
  } catch {
    // None yet, or damaged.
  }
  return {
    stackedOf: (jobKey) => jobs.get(jobKey) ?? 0,
    save(jobKey, sheetsStacked) {
      jobs = withJob(jobs, jobKey, sheetsStacked);
      try {
        mkdirSync(dirname(path), { recursive: true });
        const file = openSync(`${path}.part`, "w", 0o600);
        try {
          writeSync(file, `${JSON.stringify([...jobs])}\n`);
          fsyncSync(file);
        } finally {
          closeSync(file);
        }
        renameSync(`${path}.part`, path);
      } catch (cause) {
        const message = `cannot keep the engine's journal in ${path}: ${(cause as Error).message}`;
        throw new PlatenError("configuration", message, { cause });
      }
    },
  };
}

/** For tests. */
export function memoryJournal(): Journal {
  let jobs: ReadonlyMap<string, number> = new Map();
  return {
    stackedOf: (jobKey) => jobs.get(jobKey) ?? 0,
    save(jobKey, sheetsStacked) {
      jobs = withJob(jobs, jobKey, sheetsStacked);
    },
  };
}
