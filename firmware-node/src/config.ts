/** The configuration of a printer: one schema, parsed once, into a frozen object. */
import { homedir } from "node:os";
import { join } from "node:path";
import { hostPortWords, isHostPort, PlatenError, settingMistakes, settingWords } from "@platen/proto";
import { z } from "zod";

const hostPort = z.string().refine(isHostPort, hostPortWords);
const filePath = z.string().min(1);
const flag = z.union([z.boolean(), z.stringbool()], "must be true or false");
/** Longest that a timer of the system can be set, seconds. */
const secondsMax = 2_147_483;
const seconds = z.coerce.number().positive().max(secondsMax);
const dpi = z.coerce.number().int().min(72).max(4800);
/** A list, or its items with commas between. */
const list = <T extends z.ZodType>(item: T) =>
  z.preprocess(
    (value: string | readonly z.input<T>[]) => (typeof value === "string" ? value.split(",") : value),
    z.array(item).min(1),
  );
/** PWG 5101.1: class, name, width and height, the last two with their unit. */
const mediaName = z.string().regex(/^[a-z][a-z0-9-]*_[a-z0-9.-]+_[0-9.]+x[0-9.]+(in|mm)$/, {
  error: ({ input }) => `${JSON.stringify(input)} is no name such as iso_a4_210x297mm`,
});

/**
 * A setting that may differ by media, with "default" for all others: {"default": …, "iso_a5_148x210mm": …}, or, as a flag,
 * VALUE, MEDIA=VALUE, or several with commas between.
 */
const byMedia = <T extends z.ZodType>(item: T) =>
  z.preprocess(
    (value: unknown) => (typeof value === "object" ? value : Object.fromEntries(assignments(String(value)))),
    z.record(z.union([z.literal("default"), mediaName]), item, {
      error: ({ code }) =>
        code === "invalid_key" ? "is no name of media such as iso_a4_210x297mm" : undefined,
    }),
  );

/** A comma separates only where MEDIA= follows: the names of files may have commas too. A word with = is meant for media. */
const assignments = (text: string): [string, string][] =>
  text.split(/,(?=[a-z][a-z0-9-]*_[^,=]*=)/).map((part) => {
    const [, media, value] = /^([a-z][^,=/.]*|[a-z][a-z0-9-]*_[^,=]*)=(.*)$/s.exec(part) ?? [];
    return media === undefined || value === undefined ? ["default", part] : [media, value];
  });

/** Every setting, with its default and, as its description, what `--help` says of it. */
export const printerConfigSchema = z
  .strictObject({
    printerId: z
      .string()
      .regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be 1 to 64 letters, digits, "-" or "_"')
      .describe("the printer's name at the backend"),
    backend: hostPort.describe("the backend's gRPC address"),
    mode: z
      .enum(["poll", "push"])
      .default("poll")
      .describe("ask the backend for jobs, or serve them to it at --listen"),
    pollBackend: hostPort
      .optional()
      .describe("poll there, without TLS: polls carry no secret. All else goes to --backend"),
    listen: hostPort.default("127.0.0.1:0").describe("push mode: the printer's own gRPC address"),
    advertise: hostPort.optional().describe("push mode: address for the backend to call; default: as bound"),
    sink: z
      .string()
      .min(1)
      .default("png:platen-sheets")
      .describe(
        "the engine: png:DIR, sim:[DIR][?paper=3&jam-at-sheet=2&clear-after-ms=500…], or serial:PORT[?baud=3000000]",
      ),
    mono: flag.default(false).describe("the engine has black alone"),
    simplex: flag.default(false).describe("the engine prints on one side only"),
    resolutions: list(dpi)
      .default([300, 600, 1200])
      .describe("resolutions of the engine, dots an inch, with commas between"),
    resolution: dpi.default(600).describe("the one used unless a job asks for another, dots an inch"),
    media: list(mediaName)
      .default([
        "iso_a4_210x297mm",
        "na_letter_8.5x11in",
        "iso_a3_297x420mm",
        "iso_a5_148x210mm",
        "iso_a6_105x148mm",
        "na_legal_8.5x14in",
        "na_ledger_11x17in",
      ])
      .describe("media it takes, the default first, with commas between"),
    marginUm: z.coerce
      .number()
      .int()
      .min(0)
      .max(50_000)
      .default(0)
      .describe("margin that the engine cannot print on, on all sides, micrometres"),
    profile: byMedia(filePath)
      .optional()
      .describe(
        "ICC output profile of the engine (CMYK), FILE or MEDIA=FILE,…; without one its inks are taken for ideal",
      ),
    renderingIntent: z
      .enum(["perceptual", "relative"])
      .default("perceptual")
      .describe("how colours that the inks cannot make are brought in; relative compensates the black point"),
    blackPercent: z.coerce
      .number()
      .min(0)
      .max(100)
      .default(0)
      .describe("how much black takes over from the colours: 0 as the profile has it, 100 all that it can"),
    inkLimitPercent: byMedia(z.coerce.number().min(100).max(400))
      .optional()
      .describe(
        "most ink on a place, all inks together, hundredths of one ink's solid, 100 to 400; also MEDIA=LIMIT,… (default: 400)",
      ),
    calibration: byMedia(filePath)
      .optional()
      .describe("what `calibrate` has measured, FILE or MEDIA=FILE,…; it is undone in what is printed"),
    tls: flag.default(false).describe("reach the backend over TLS; --tls-ca implies it"),
    tlsCert: filePath
      .optional()
      .describe("certificate chain of the printer, PEM; push mode then listens with TLS"),
    tlsKey: filePath.optional().describe("its private key, PEM"),
    tlsCa: filePath.optional().describe("authorities that the backend's certificate must come from, PEM"),
    allowPlaintext: flag.default(false).describe("go without TLS beyond this machine"),
    enrolmentKey: z.string().default("").describe("the key that the backend asks of new printers"),
    stateDir: filePath
      .default(join(process.env.XDG_STATE_HOME || join(homedir(), ".local", "state"), "platen"))
      .describe("folder for the printer's key, by which the backend knows it, and for what is stacked"),
    faultTimeoutS: seconds
      .default(15 * 60)
      .describe("how long a job waits for an engine fault to clear, seconds"),
    fetchPatienceS: seconds
      .default(10 * 60)
      .describe("how long nothing may come of a page, for example while it is converted, seconds"),
    updateChannel: z
      .string()
      .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, "must be 1 to 64 small letters, digits, . _ or -")
      .default("stable")
      .describe("started by platen-boot: where the printer takes its updates"),
    updateBoard: z
      .string()
      .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, "must be 1 to 64 small letters, digits, . _ or -")
      .default(`linux-${process.arch}-glibc`)
      .describe("started by platen-boot: what this board is, as bundles name it"),
    registerIntervalS: seconds.default(60).describe("push mode: how often to register again, seconds"),
  })
  .superRefine((config, context) => {
    const refuse = (key: string, message: string) =>
      context.addIssue({ code: "custom", path: [key], message });
    if (!config.resolutions.includes(config.resolution))
      refuse("resolution", `must be one of those that the engine has: ${config.resolutions.join(", ")}`);
    if (new Set(config.resolutions).size < config.resolutions.length)
      refuse("resolutions", "one comes twice");
    for (const key of ["profile", "inkLimitPercent", "calibration"] as const) {
      for (const media of Object.keys(config[key] ?? {})) {
        if (media !== "default" && !config.media.includes(media))
          refuse(key, `${media} is none of the media`);
      }
    }
    if (config.pollBackend && config.mode === "push") refuse("pollBackend", "is for polling mode");
  });

/** Settings as a person gives them; see printerConfigSchema. */
export type PrinterSettings = z.input<typeof printerConfigSchema>;
export type PrinterConfig = Readonly<z.infer<typeof printerConfigSchema>>;

/** Settings with defaults filled in; throws `configuration` with one line a mistake, which `nameOf` names. */
export function parsePrinterConfig(settings: unknown, nameOf?: (key: string) => string): PrinterConfig {
  const parsed = printerConfigSchema.safeParse(settings, { error: settingWords });
  if (parsed.success) return Object.freeze(parsed.data);
  throw new PlatenError("configuration", settingMistakes(parsed.error.issues, nameOf));
}
