/** What the kernel's host uses of WebAssembly (W3C JavaScript interface), which the types of Node leave to the DOM's. */
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array<ArrayBuffer>);
  }
  class Instance {
    constructor(module: Module, imports: { readonly env: { readonly memory: Memory } });
    readonly exports: Readonly<Record<string, unknown>>;
  }
  /** Sizes are pages of 64 KiB. */
  class Memory {
    constructor(sizes: { readonly initial: number; readonly maximum: number; readonly shared: true });
    readonly buffer: SharedArrayBuffer;
  }
  /** Of type i32. */
  interface Global {
    readonly value: number;
  }
}
