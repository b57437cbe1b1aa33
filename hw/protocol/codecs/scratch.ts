/** Memory for what an encoder makes, while it makes it. */

let memory = new Uint8Array(0);

/**
 * The same memory each time, whatever lies in it: a page has hundreds of bands, and memory of their own would pile up until
 * the garbage collector felt its weight. Until the next call.
 */
export function scratch(sizeBytes: number): Uint8Array<ArrayBuffer> {
  if (memory.length < sizeBytes) memory = new Uint8Array(sizeBytes);
  return memory.subarray(0, sizeBytes);
}
