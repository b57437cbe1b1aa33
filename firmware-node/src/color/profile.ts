/** An ICC output profile for cyan, magenta, yellow and black, with LittleCMS behind it. */
import { PlatenError } from "@platen/proto";
import * as lcmsWasm from "lcms-wasm";

/** Perceptual, or relative colorimetric with black point compensation. */
export type Intent = "perceptual" | "relative";

/** The largest that is read, bytes: far above what profilers write. */
const sizeMax = 16 * 1024 * 1024;

const refuse = (what: string, cause?: unknown): never => {
  throw new PlatenError("configuration", `the output profile ${what}`, { cause });
};

const textAt = (bytes: Uint8Array, offset: number): string =>
  String.fromCharCode(...bytes.subarray(offset, offset + 4));

/** Refuses what is no ICC output profile for CMYK by its header (ICC.1:2022, 7.2), before LittleCMS sees it. */
function checkHeader(bytes: Uint8Array): void {
  if (bytes.length < 132 || textAt(bytes, 36) !== "acsp") refuse("is no ICC profile");
  if (bytes.length > sizeMax) refuse(`has more than ${sizeMax} bytes`);
  const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  if (size !== bytes.length) refuse(`has ${bytes.length} bytes, but says that it has ${size}: it is damaged`);
  const kind = textAt(bytes, 12);
  if (kind !== "prtr") refuse(`is of class "${kind}", not of an output device ("prtr")`);
  const space = textAt(bytes, 16);
  if (space !== "CMYK") refuse(`is for "${space}", not for CMYK`);
}

/** Converts colours in bulk. 16-bit channels go from 0 to 65535. */
export interface OutputProfile extends Disposable {
  /** sRGB, three channels → cyan, magenta, yellow, black. */
  inksOf(rgb: Uint16Array, intent: Intent): Uint16Array;
  /** Four inks → CIELAB (D50, relative to the paper), three numbers a colour. */
  labOf(inks: Uint16Array): Float32Array;
}

/** Opens a profile. Throws `configuration` for what is none, is damaged, or is of another class. Dispose of it. */
export async function openProfile(bytes: Uint8Array): Promise<OutputProfile> {
  checkHeader(bytes);
  const lcms = await lcmsWasm.instantiate();
  using handles = new DisposableStack();
  // A damaged profile may end LittleCMS itself: the instance is this profile's own, and goes with it.
  const guarded = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      if (error instanceof PlatenError) throw error;
      return refuse("is damaged", error);
    }
  };
  const made = (handle: number, what: string, free: (handle: number) => void): number => {
    if (handle === 0) refuse(what);
    return handles.adopt(handle, (own) => guarded(() => free(own)));
  };
  const { TYPE_RGB_16, TYPE_CMYK_16, TYPE_Lab_16, INTENT_PERCEPTUAL, INTENT_RELATIVE_COLORIMETRIC } =
    lcmsWasm;
  const { cmsFLAGS_NOOPTIMIZE: exact, cmsFLAGS_BLACKPOINTCOMPENSATION: blackPoint } = lcmsWasm;
  return guarded(() => {
    const close = (profile: number) => lcms.cmsCloseProfile(profile);
    const own = made(lcms.cmsOpenProfileFromMem(bytes, bytes.length), "cannot be read: it is damaged", close);
    const srgb = made(lcms.cmsCreate_sRGBProfile(), "has no source", close);
    const lab = made(lcms.cmsCreateLab4Profile(), "has no connection space", close);
    const transform = (
      from: number,
      fromType: number,
      to: number,
      toType: number,
      intent: number,
      flags: number,
    ) =>
      made(
        lcms.cmsCreateTransform(from, fromType, to, toType, intent, flags | exact),
        "lacks the tables of its class: it is damaged",
        (one) => lcms.cmsDeleteTransform(one),
      );
    const toInks = {
      perceptual: transform(srgb, TYPE_RGB_16, own, TYPE_CMYK_16, INTENT_PERCEPTUAL, blackPoint),
      relative: transform(srgb, TYPE_RGB_16, own, TYPE_CMYK_16, INTENT_RELATIVE_COLORIMETRIC, blackPoint),
    };
    const toLab = transform(own, TYPE_CMYK_16, lab, TYPE_Lab_16, INTENT_RELATIVE_COLORIMETRIC, 0);
    const resources = handles.move();
    return {
      inksOf: (rgb, intent) => guarded(() => lcms.cmsDoTransform(toInks[intent], rgb, rgb.length / 3)),
      // 16-bit encoding of ICC.1:2022, 6.3.4: L* from 0 to 100, a* and b* from −128 to 127.
      labOf: (inks) =>
        Float32Array.from(
          guarded(() => lcms.cmsDoTransform(toLab, inks, inks.length / 4)),
          (word, i) => (i % 3 === 0 ? word / 655.35 : word / 257 - 128),
        ),
      [Symbol.dispose]: () => resources.dispose(),
    };
  });
}
