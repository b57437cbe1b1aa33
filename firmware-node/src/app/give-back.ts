/** Memory of bands, which is megabytes in few objects. */

/**
 * Gives memory back at once, if it is all of a buffer: the garbage collector does not feel its weight, and would let many bands
 * pile up. The next band then lies in the same memory, which is a third quicker than to have the system make it anew. Nobody may
 * read the bytes after this.
 */
export function giveBack(bytes: Uint8Array): void {
  const { buffer, byteLength } = bytes;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}
