/** What names, keys and values the storage ports take. Every adapter refuses the rest with `invalid-argument`. */
import { PlatenError } from "@platen/proto";

/** The largest value of a key and the largest payload of a queue item, bytes: a NATS message's default limit, less its headers. */
export const maxValueBytes = 1_000_000;

const storePattern = /^[A-Za-z0-9-]{1,64}$/;
const keyPattern = /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/;
const itemPattern = /^[A-Za-z0-9_-]{1,200}$/;
const blobSegmentPattern = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,200}$/;

function refuse(what: string, name: string, rule: string): never {
  throw new PlatenError(
    "invalid-argument",
    `${what} must be ${rule}, not ${JSON.stringify(name.slice(0, 80))}`,
  );
}

/** The name of a bucket, a queue or a blob store. */
export function checkStoreName(name: string): void {
  if (!storePattern.test(name)) refuse("a store's name", name, '1 to 64 letters, digits or "-"');
}

/** A key of a bucket, or a prefix. */
export function checkKey(key: string): void {
  if (key.length > 200 || !keyPattern.test(key)) {
    refuse("a key", key, 'segments of letters, digits, "-" or "_" joined by ".", at most 200 characters');
  }
}

/** A lane of a queue, or the id of an item. */
export function checkItemName(what: "a lane" | "an item's id", name: string): void {
  if (!itemPattern.test(name)) refuse(what, name, '1 to 200 letters, digits, "-" or "_"');
}

export function checkBlobKey(key: string): void {
  if (key.length > 400 || !key.split("/").every((segment) => blobSegmentPattern.test(segment))) {
    refuse(
      "a blob's key",
      key,
      'segments of at most 200 letters, digits, ".", "-" or "_" (none of them "." or "..") joined by "/", at most 400 characters',
    );
  }
}

/** A value of a bucket, or the payload of an item. */
export function checkValue(value: Uint8Array): void {
  if (value.byteLength > maxValueBytes) {
    throw new PlatenError(
      "invalid-argument",
      `a value of ${value.byteLength} bytes is too large: ${maxValueBytes} at most`,
    );
  }
}

/** Whether a key is the prefix or goes on with the separator after it; every key without a prefix. */
export const isUnder = (key: string, prefix: string | undefined, separator: "." | "/"): boolean =>
  prefix === undefined || key === prefix || key.startsWith(prefix + separator);
