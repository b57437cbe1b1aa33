/** What is used of lcms-wasm 1.0.5, which brings no types: LittleCMS's own functions and constants. */
declare module "lcms-wasm" {
  /** 0 is LittleCMS's answer when it can make none. */
  type Handle = number;
  interface Lcms {
    cmsOpenProfileFromMem(bytes: Uint8Array, length: number): Handle;
    cmsCreate_sRGBProfile(): Handle;
    cmsCreateLab4Profile(whitePoint?: readonly number[]): Handle;
    cmsCloseProfile(profile: Handle): void;
    cmsCreateTransform(
      input: Handle,
      inputFormat: number,
      output: Handle,
      outputFormat: number,
      intent: number,
      flags: number,
    ): Handle;
    cmsDeleteTransform(transform: Handle): void;
    /** For 16-bit formats. */
    cmsDoTransform(transform: Handle, input: Uint16Array, pixels: number): Uint16Array;
  }
  export function instantiate(): Promise<Lcms>;
  export const TYPE_RGB_16: number;
  export const TYPE_CMYK_16: number;
  export const TYPE_Lab_16: number;
  export const INTENT_PERCEPTUAL: number;
  export const INTENT_RELATIVE_COLORIMETRIC: number;
  export const cmsFLAGS_NOOPTIMIZE: number;
  export const cmsFLAGS_BLACKPOINTCOMPENSATION: number;
}
