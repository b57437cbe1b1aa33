/**
 * Imported before all else: V8 favours memory over speed, in every thread. By itself its young generation grows to 48 MiB of
 * garbage before anything is collected; and what is collected late here are not objects but the bands that they hold. The
 * speed is in WebAssembly and native code, which this leaves alone.
 */
import { setFlagsFromString } from "node:v8";

setFlagsFromString("--semi-space-growth-factor=1");
setFlagsFromString("--optimize-for-size");
