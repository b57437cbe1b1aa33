/** ICC profiles of a page's colours and of a printer's inks, with LittleCMS behind them. */
import { createHash } from "node:crypto";
import * as lcmsWasm from "lcms-wasm";
import { InkError } from "./error.ts";

/** Perceptual, or relative colorimetric with black point compensation. */
export type Intent = "perceptual" | "relative";

/** The largest that is read, bytes: far above what profilers write, and below the stack on which LittleCMS is handed it. */
export const profileMaxBytes = 8 * 1024 * 1024;

/** What a profile is for: its classes and colour space (ICC.1:2022, 7.2.5, 7.2.6), and the code of the error when it is not. */
interface Part {
  readonly name: string;
  readonly code: InkError["code"];
  readonly classes: readonly string[];
  readonly space: string;
}

const outputPart: Part = { name: "output profile", code: "configuration", classes: ["prtr"], space: "CMYK" };
const sourcePart: Part = {
  name: "pages' colour profile",
  code: "metafile-invalid",
  classes: ["scnr", "mntr", "spac"],
  space: "RGB ",
};

const refuse = ({ name, code }: Part, what: string, cause?: unknown): never => {
  throw new InkError(code, `the ${name} ${what}`, { cause });
};

const textAt = (bytes: Uint8Array, offset: number): string =>
  String.fromCharCode(...bytes.subarray(offset, offset + 4)).replaceAll(/[^ -~]/g, "?");

/** The MD5 that a profile may carry of itself, with the fields that may change set to 0 (7.2.18). */
function idOf(bytes: Uint8Array): Buffer {
  const fixed = bytes.slice();
  for (const [from, to] of [
    [44, 48],
    [64, 68],
    [84, 100],
  ] as const)
    fixed.fill(0, from, to);
  return createHash("md5").update(fixed).digest();
}

/** Refuses by its header what is none of the part's, and by its id what is damaged, before LittleCMS sees it. */
function checkHeader(bytes: Uint8Array, part: Part): void {
  if (bytes.length < 132 || textAt(bytes, 36) !== "acsp") refuse(part, "is no ICC profile");
  if (bytes.length > profileMaxBytes) refuse(part, `has more than ${profileMaxBytes} bytes`);
  const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  if (size !== bytes.length)
    refuse(part, `has ${bytes.length} bytes, but says that it has ${size}: it is damaged`);
  const [version, kind, space] = [bytes[8]!, textAt(bytes, 12), textAt(bytes, 16)];
  if (version !== 2 && version !== 4) refuse(part, `is of version ${version}, not of version 2 or 4`);
  if (!part.classes.includes(kind)) {
    refuse(part, `is of class "${kind}", not of ${part.classes.map((one) => `"${one}"`).join(", ")}`);
  }
  if (space !== part.space) refuse(part, `is for "${space.trimEnd()}", not for ${part.space.trimEnd()}`);
  const id = bytes.subarray(84, 100);
  if (id.some((byte) => byte !== 0) && !idOf(bytes).equals(id))
    refuse(part, "is not what its own checksum says: it is damaged");
}

const { TYPE_RGB_16, TYPE_CMYK_16, TYPE_Lab_16, INTENT_PERCEPTUAL, INTENT_RELATIVE_COLORIMETRIC } = lcmsWasm;
const { cmsFLAGS_NOOPTIMIZE: exact, cmsFLAGS_BLACKPOINTCOMPENSATION: blackPoint } = lcmsWasm;

/** 16-bit encoding of ICC.1:2022, 6.3.4: L* from 0 to 100, a* and b* from −128 to 127. */
const labOfWords = (words: Uint16Array): Float32Array =>
  Float32Array.from(words, (word, i) => (i % 3 === 0 ? word / 655.35 : word / 257 - 128));

/** Converts colours in bulk. 16-bit channels go from 0 to 65535; CIELAB (D50) is relative to the paper, three numbers a colour. */
export interface OutputProfile extends Disposable {
  /** Three channels of the source → cyan, magenta, yellow, black. */
  inksOf(rgb: Uint16Array, intent: Intent): Uint16Array;
  /** Four inks → CIELAB. */
  labOf(inks: Uint16Array): Float32Array;
}

export interface SourceProfile extends Disposable {
  /** Three channels of the source → sRGB; what sRGB cannot show is brought to its edge. */
  srgbOf(rgb: Uint16Array): Uint16Array;
  /** Three channels of the source → CIELAB. */
  labOf(rgb: Uint16Array): Float32Array;
}

/**
 * An instance of LittleCMS of one's own, which ends with what it has opened: a damaged profile may end LittleCMS itself, and
 * what it has been given must not outlast the table that is made of it.
 */
async function session() {
  const lcms = await lcmsWasm.instantiate();
  const handles = new DisposableStack();
  /** Does what LittleCMS may fail at. */
  const guarded = <T>(part: Part, work: () => T): T => {
    try {
      return work();
    } catch (error) {
      if (error instanceof InkError) throw error;
      return refuse(part, "is damaged", error);
    }
  };
  const adopt = (part: Part, handle: number, otherwise: string, free: (handle: number) => void): number => {
    if (handle === 0) refuse(part, otherwise);
    return handles.adopt(handle, (own) => guarded(part, () => free(own)));
  };
  const close = (profile: number) => lcms.cmsCloseProfile(profile);
  return {
    handles,
    srgb: () => adopt(sourcePart, lcms.cmsCreate_sRGBProfile(), "is missing", close),
    lab: () => adopt(outputPart, lcms.cmsCreateLab4Profile(), "has no connection space", close),
    open: (bytes: Uint8Array, part: Part) => {
      checkHeader(bytes, part);
      const open = () => lcms.cmsOpenProfileFromMem(bytes, bytes.length);
      return adopt(part, guarded(part, open), "cannot be read: it is damaged", close);
    },
    /** A conversion in bulk from profile and format to profile and format. */
    conversion: (part: Part, from: [number, number], to: [number, number], intent: number, flags = 0) => {
      const make = () => lcms.cmsCreateTransform(...from, ...to, intent, flags | exact);
      const lacking = "lacks the tables of its class: it is damaged";
      const handle = adopt(part, guarded(part, make), lacking, (one) => lcms.cmsDeleteTransform(one));
      const channels = from[1] === TYPE_CMYK_16 ? 4 : 3;
      return (values: Uint16Array) =>
        guarded(part, () => lcms.cmsDoTransform(handle, values, values.length / channels));
    },
  };
}

/**
 * Opens an output profile for cyan, magenta, yellow and black. Colours come in the `source` profile's space, by default
 * sRGB. Dispose of it. Throws for what is none, is damaged, or is of another class: `configuration` where it is the output
 * profile, `metafile-invalid` where it is the source.
 */
export async function openOutput(output: Uint8Array, source?: Uint8Array): Promise<OutputProfile> {
  const lcms = await session();
  using handles = lcms.handles;
  const own = lcms.open(output, outputPart);
  const from: [number, number] = [source ? lcms.open(source, sourcePart) : lcms.srgb(), TYPE_RGB_16];
  const to: [number, number] = [own, TYPE_CMYK_16];
  const toLab = lcms.conversion(outputPart, to, [lcms.lab(), TYPE_Lab_16], INTENT_RELATIVE_COLORIMETRIC);
  const toInks = {
    perceptual: lcms.conversion(outputPart, from, to, INTENT_PERCEPTUAL, blackPoint),
    relative: lcms.conversion(outputPart, from, to, INTENT_RELATIVE_COLORIMETRIC, blackPoint),
  };
  const resources = handles.move();
  return {
    inksOf: (rgb, intent) => toInks[intent](rgb),
    labOf: (inks) => labOfWords(toLab(inks)),
    [Symbol.dispose]: () => resources.dispose(),
  };
}

/** Opens the profile of pages' colours. Dispose of it. Throws `metafile-invalid` for what is none, or is damaged. */
export async function openSource(source: Uint8Array): Promise<SourceProfile> {
  const lcms = await session();
  using handles = lcms.handles;
  const from: [number, number] = [lcms.open(source, sourcePart), TYPE_RGB_16];
  const intent = INTENT_RELATIVE_COLORIMETRIC;
  const toSrgb = lcms.conversion(sourcePart, from, [lcms.srgb(), TYPE_RGB_16], intent, blackPoint);
  const toLab = lcms.conversion(sourcePart, from, [lcms.lab(), TYPE_Lab_16], intent, blackPoint);
  const resources = handles.move();
  return {
    srgbOf: toSrgb,
    labOf: (rgb) => labOfWords(toLab(rgb)),
    [Symbol.dispose]: () => resources.dispose(),
  };
}
