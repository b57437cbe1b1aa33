/** S1410: strips packed for the line in a thread of their own, so that the line and the stages before it go on meanwhile. */
import { type Capabilities, type PackedStrip, packStrip, type Strip } from "@platen/hw/protocol";
import type { PackQuestion } from "./pack-thread.ts";
import { Thread } from "./thread.ts";

export interface Packer extends AsyncDisposable {
  /**
   * The strip as it goes to this engine; `digest` is of the sheet before it. The planes are the caller's again when this
   * settles. Throws `internal` when the packer has crashed; it works again from the next strip on.
   */
  pack(strip: Strip, digest: number, engine: Capabilities): Promise<PackedStrip>;
}

/** For tests in virtual time, which goes on only when nothing else does. */
export const inlinePacker: Packer = {
  pack: async (strip, digest, engine) => packStrip(strip, digest, engine),
  async [Symbol.asyncDispose]() {},
};

/** Planes in shared memory are read where they lie. Of others a view would drag along all that it is a view of. */
const lean = (bits: Uint8Array): Uint8Array =>
  bits.buffer instanceof SharedArrayBuffer ? bits : bits.slice();

export class ThreadedPacker implements Packer {
  readonly #thread: Thread<PackQuestion, PackedStrip>;

  constructor(module: URL = new URL("./pack-thread.ts", import.meta.url)) {
    this.#thread = new Thread({ module, name: "packing" });
  }

  pack(
    { yPx, rowsPx, strideBytes, planes }: Strip,
    digest: number,
    engine: Capabilities,
  ): Promise<PackedStrip> {
    const own = planes.map(({ colorant, bits }) => ({ colorant, bits: lean(bits) }));
    return this.#thread.ask({ strip: { yPx, rowsPx, strideBytes, planes: own }, digest, engine });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread[Symbol.asyncDispose]();
  }
}
