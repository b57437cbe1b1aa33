/** Arithmetic on 16-bit sequence numbers (RFC 1982) and 32-bit counts. */

/** How far `b` is ahead of `a`, −32768 to 32767. */
export const ahead16 = (b: number, a: number): number => ((b - a + 0x8000) & 0xffff) - 0x8000;
export const next16 = (number: number): number => (number + 1) & 0xffff;
/** a − b modulo 2³², as −2³¹ to 2³¹ − 1. */
export const difference32 = (a: number, b: number): number => (a - b) | 0;
export const add32 = (a: number, b: number): number => (a + b) >>> 0;

/** Credit that a sequenced frame costs: its payload, and what it takes to keep it. */
export const frameCost = (payloadBytes: number): number => payloadBytes + 8;
