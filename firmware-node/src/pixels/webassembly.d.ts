/** What the kernel's host uses of WebAssembly (W3C JavaScript interface), which the types of Node leave to the DOM's. */
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array<ArrayBuffer>);
  }
  class Instance {
    constructor(module: Module);
    readonly exports: Readonly<Record<string, unknown>>;
  }
  interface Memory {
    readonly buffer: ArrayBuffer;
  }
  /** Of type i32. */
  interface Global {
    readonly value: number;
  }
}
