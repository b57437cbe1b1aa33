/** The records that a session leaves in the shared stores, and the rules of its token. Pure. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { z } from "zod";

/** SE001: one record a session, under its DB index. Whichever executor gets a request goes on from here. */
export const sessionRecordSchema = z.object({
  jobId: z.string(),
  printerId: z.string(),
  createdMs: z.number(),
  /** The request that created it: its repeat is not S1105's "record exists". */
  tokenRequestId: z.string(),
  /** S1210: where the downloaded data lie. */
  download: z
    .object({
      requestId: z.string(),
      sourceKey: z.string(),
      sizeBytes: z.number(),
      mediaType: z.enum(["application/pdf", "image/jpeg", "image/png"]),
      executorId: z.string(),
    })
    .optional(),
  /** S1309 to S1316: what became of them. */
  conversion: z
    .object({
      requestId: z.string(),
      identificationId: z.string(),
      completed: z.boolean(),
    })
    .optional(),
});
export type SessionRecord = z.infer<typeof sessionRecordSchema>;

/** DB004: token, time of issue, DB index (which is the record's key). */
export const tokenRecordSchema = z.object({
  /** SHA-256 of each token issued: a repeated request, whose first answer may be lost, gets a token of its own. */
  hashes: z.array(z.string()),
  issuedMs: z.number(),
  expiresMs: z.number(),
});
export type TokenRecord = z.infer<typeof tokenRecordSchema>;

/** DB002: what the result store knows of an identification id (S1310, S1315). */
export const resultRecordSchema = z.object({
  /** Whose it is, and where its token is found: the one place that knows a token is the token store. */
  dbIndex: z.string(),
  jobId: z.string(),
  printerId: z.string(),
  /** S1312: prefix of its blobs. */
  location: z.string(),
  /** S1314. */
  metafileUrl: z.string(),
  impressions: z.number(),
  createdMs: z.number(),
  /** Why no more pages will come. */
  failure: z.object({ code: z.string(), message: z.string() }).optional(),
});
export type ResultRecord = z.infer<typeof resultRecordSchema>;

/** A page that is ready to be fetched; under `IDENTIFICATION_ID.PAGE_NUMBER`. */
export const pageRecordSchema = z.object({
  sizeBytes: z.number(),
  blankBands: z.number(),
  greyBands: z.number(),
  colorBands: z.number(),
});
export type PageRecord = z.infer<typeof pageRecordSchema>;

const hashOf = (token: string): string => createHash("sha256").update(token).digest("hex");

/** S1107: 256 random bits, base64url. Only its hash is ever stored. */
export function issueToken(previous: TokenRecord | undefined, nowMs: number, ttlMs: number) {
  const token = randomBytes(32).toString("base64url");
  const record: TokenRecord = {
    hashes: [...(previous?.hashes ?? []).slice(-7), hashOf(token)],
    issuedMs: nowMs,
    expiresMs: nowMs + ttlMs,
  };
  return { token, record };
}

/** Whether a token is one of the record's and has not expired (S1506). Takes the same time for any wrong token. */
export function isTokenGood(record: TokenRecord, token: string, nowMs: number): boolean {
  const hash = Buffer.from(hashOf(token), "hex");
  const known = record.hashes.filter((one) => timingSafeEqual(Buffer.from(one, "hex"), hash));
  return known.length > 0 && nowMs < record.expiresMs;
}
