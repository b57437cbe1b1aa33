/** Signed bundles of printers' software: what their head says, who may sign, which version comes after which. */
export { type BundleHead, decodeHead, encodeHead, headMaxBytes, isBundle } from "./head.ts";
export { type KeySet, keyIdOf, openKeySet, signKeySet } from "./keys.ts";
export {
  type AppManifest,
  bundleFormat,
  encodeManifest,
  levelOf,
  type Manifest,
  type ManifestInput,
  manifestSchema,
  parseManifest,
  type SystemManifest,
  updaterLevel,
} from "./manifest.ts";
export { type DowngradePermit, openDowngrade, signDowngrade } from "./permit.ts";
export { compareVersions } from "./versions.ts";
