/** What a driver must remember across a power cut of the controller: how many sheets of its jobs are stacked. */
import { readFileSync } from "node:fs";
import { PlatenError } from "@platen/proto";
import { z } from "zod";
import { replaceFile } from "./replace-file.ts";

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
        replaceFile(path, `${JSON.stringify([...jobs])}\n`, 0o600);
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
