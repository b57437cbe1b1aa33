/**
 * What the printer and the board's own service for systems say to each other: files in a folder of memory, gone with the next
 * start. The printer may only ask; the service, which is root's, checks all of it itself, and says what came of it in its status.
 */
import { z } from "zod";
import { checks } from "./supervised.ts";

export const systemFolder = "/run/platen-system";
/** The service's word, below that folder. */
export const statusFile = "status.json";
/** The printer's, in a folder that is its own. */
export const requestFile = "requests/request.json";
export const missingFile = "requests/missing.json";

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const payload = { payloadSha256: sha256, attempt: z.number().int().positive() };
/** Tells the answer to a request from that to another. */
const id = z.string().max(64);

export const requestSchema = z.discriminatedUnion("action", [
  /** Write a bundle's system into the slot that does not run. */
  z.strictObject({
    action: z.literal("install"),
    id,
    ...payload,
    /** Of the bundle, as it was downloaded. */
    sha256,
    channel: z.string().max(64),
    /** A permit to go back, base64; empty: none. */
    permit: z.string().max(4096),
  }),
  /** Start the board again, on what was written. */
  z.strictObject({ action: z.literal("try"), id, ...payload }),
  /** The system on trial is good. */
  z.strictObject({ action: z.literal("keep"), id }),
  /** Trust another key set, base64. */
  z.strictObject({ action: z.literal("trust"), id, keySet: z.string().max(64 * 1024) }),
]);
export type SystemRequest = z.infer<typeof requestSchema>;

export const statusSchema = z.strictObject({
  /** Of the system that runs. */
  version: z.string(),
  /** What it is for, as bundles name it. */
  board: z.string(),
  slot: z.enum(["a", "b"]),
  /** It runs on trial. */
  trial: z.boolean(),
  /** How the last trial ended. */
  last: z.strictObject({ version: z.string(), outcome: z.string(), reason: z.string() }).optional(),
  /** Systems that failed, by the SHA-256 of their payload. */
  failed: z.record(z.string(), z.strictObject({ attempt: z.number(), reason: z.string() })),
  /** What is done with the request under way: it is checked first. */
  installing: z.boolean().optional(),
  /** What came of the last request. */
  answer: z
    .strictObject({
      id: z.string(),
      error: z.strictObject({ code: z.string(), message: z.string() }).optional(),
    })
    .optional(),
});
export type SystemStatus = Readonly<z.infer<typeof statusSchema>>;

/** Which checks the system on trial has not passed yet. */
export const missingSchema = z.array(z.enum(checks));
