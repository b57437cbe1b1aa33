/** `platen.toml`: what a board must know before it can print. The same checks run where it is written and on the board. */
import { isIP, isIPv4 } from "node:net";
import { printerConfigSchema } from "@platen/firmware-node/config";
import { PlatenError } from "@platen/proto";
import { parse, stringify, TomlError } from "smol-toml";
import { z } from "zod";

/** Where the printer's own folder is on the board. */
export const platenHome = "/data/platen";
/** Where its settings are: not in its own folder, since root writes them, and would follow what the printer may have put there. */
export const configHome = "/data/config";

/** Stands for a secret that the board has taken over; with it in a new file the board's own stays. */
export const keptMark = "(kept on the board)";

const text = z.string().min(1).max(4096);
/** Nothing that could end a line of the files that are made of it. */
const line = text.regex(/^[^\p{Cc}]+$/u, "must be one line of text");
const address = z.string().refine((value) => {
  const [ip = "", prefix = "", ...rest] = value.split("/");
  const max = isIPv4(ip) ? 32 : 128;
  return rest.length === 0 && isIP(ip) > 0 && /^\d{1,3}$/.test(prefix) && Number(prefix) <= max;
}, "must be an address with its prefix, such as 192.168.1.20/24");
const ip = z.string().refine((value) => isIP(value) > 0, "must be an IP address");

/** Nothing fixed: DHCP. */
const addresses = {
  address: address.optional(),
  gateway: ip.optional(),
  dns: z.array(ip).max(3).optional(),
};

/** IEEE 802.11: 32 bytes at most. */
const ssid = line.refine((value) => Buffer.byteLength(value) <= 32, "has 32 bytes at most");
const passphrase = z
  .string()
  .refine(
    (value) => value === keptMark || /^[\x20-\x7e]{8,63}$/.test(value) || /^[0-9a-fA-F]{64}$/.test(value),
    "must be 8 to 63 characters of ASCII, or 64 hexadecimal digits",
  );

/** What the printer itself would refuse is refused here, where somebody still looks. */
const checked = <T extends z.ZodType>(key: keyof typeof printerConfigSchema.shape, type: T): T =>
  type.superRefine((value, context) => {
    for (const { path, message } of printerConfigSchema.shape[key].safeParse(value).error?.issues ?? [])
      context.addIssue({ code: "custom", path, message });
  });

const settingsSchema = z.strictObject({
  printer: z.strictObject({
    /** The printer's name at the backend. */
    id: checked("printerId", z.string()),
    /** Media it takes, the default first. */
    media: checked("media", z.array(z.string())).optional(),
    resolution: checked("resolution", z.number()).optional(),
    resolutions: checked("resolutions", z.array(z.number())).optional(),
    mono: z.boolean().optional(),
    simplex: z.boolean().optional(),
    margin_um: checked("marginUm", z.number()).optional(),
  }),
  backend: z.strictObject({
    /** HOST:PORT of its gRPC. */
    address: checked("backend", z.string()),
    tls: z.boolean().optional(),
    /** Certificates of the authorities that the backend's comes from, PEM. */
    ca: text
      .max(64 * 1024)
      .regex(/-----BEGIN CERTIFICATE-----/, "must be a certificate, PEM")
      .optional(),
    allow_plaintext: z.boolean().optional(),
    enrolment_key: line.optional(),
  }),
  engine: z
    .strictObject({
      /** A path below /dev, or usb-VVVV-PPPP. */
      port: z
        .string()
        .regex(
          /^(\/dev\/tty(USB|ACM|AMA|S)\d{1,3}|usb-[0-9a-fA-F]{4}-[0-9a-fA-F]{4})$/,
          "must be a serial line such as /dev/ttyUSB0, or usb-0403-6001 (vendor and product)",
        )
        .optional(),
      baud: z.number().int().min(1200).max(12_000_000).optional(),
      rtscts: z.boolean().optional(),
      /** Without an engine: sheets as pictures, in the board's memory card. */
      pictures: z.boolean().optional(),
    })
    .refine(
      ({ port, pictures }) => (port === undefined) !== !pictures,
      "needs either port or pictures = true",
    ),
  network: z
    .strictObject({
      hostname: z
        .string()
        .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, "must be small letters, digits and -")
        .optional(),
      wired: z.strictObject(addresses).optional(),
      wifi: z
        .strictObject({
          ssid,
          passphrase: passphrase.optional(),
          /** ISO 3166: what may be sent differs from country to country. */
          country: z.string().regex(/^[A-Z]{2}$/, "must be two capital letters"),
          hidden: z.boolean().optional(),
          ...addresses,
        })
        .optional(),
      /** Servers of the time; without them those of the DHCP server, or Debian's. */
      ntp: z
        .array(line.regex(/^[A-Za-z0-9.:-]+$/, "must be a name or an address"))
        .max(4)
        .optional(),
    })
    .optional(),
  updates: z
    .strictObject({
      /** Of which updates are taken. */
      channel: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, "must be small letters, digits, . _ and -"),
    })
    .optional(),
});

export type Settings = Readonly<z.infer<typeof settingsSchema>>;

const invalid = (mistakes: string, cause?: unknown): PlatenError =>
  new PlatenError("configuration", `platen.toml:\n${mistakes}`, { cause });

const kinds: Readonly<Record<string, string>> = {
  string: "text in quotes",
  number: "a number",
  boolean: "true or false",
  array: "a list",
  object: "a section",
};

/** Words for what those of the fields above do not tell. */
const wordsOf: z.core.$ZodErrorMap = (issue) => {
  if (issue.code !== "invalid_type") return undefined;
  return issue.input === undefined ? "is missing" : `must be ${kinds[issue.expected] ?? issue.expected}`;
};

/** A line for each mistake, with its place in the file. */
function mistakeLines(issues: readonly z.core.$ZodIssue[], section: readonly string[] = []): string {
  const lines = issues.flatMap((issue) => {
    const path = [...section, ...issue.path];
    if (issue.code !== "unrecognized_keys") return [`${path.join(".")}: ${issue.message}`];
    return issue.keys.map((key) => `${[...path, key].join(".")}: there is no such setting`);
  });
  return lines.join("\n");
}

/** Reads platen.toml. Throws `configuration`, a line for each mistake, with where it is. */
export function parseSettings(toml: string): Settings {
  let table: unknown;
  try {
    table = parse(toml.replace(/^\uFEFF/, ""));
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    throw invalid(`line ${cause.line}: ${cause.message.replace(/\n[^]*$/, "")}`, cause);
  }
  const parsed = settingsSchema.safeParse(table, { error: wordsOf });
  if (!parsed.success) throw invalid(mistakeLines(parsed.error.issues), parsed.error);
  // Each is right by itself. What does not go together is the printer's own: its resolutions.
  const { error } = printerConfigSchema.safeParse(printerConfigOf(parsed.data));
  if (error) throw invalid(mistakeLines(error.issues, ["printer"]), error);
  return parsed.data;
}

/** Secrets that are marked as kept, from the settings that the board has. Throws `configuration` when it has none. */
export function withKept(settings: Settings, present: Settings | undefined): Settings {
  const kept = <T extends string | undefined>(value: T, old: T, where: string): T => {
    if (value !== keptMark) return value;
    if (old === undefined) throw invalid(`${where}: the board has none yet: write it out`);
    return old;
  };
  const { backend, network } = settings;
  const wifi = network?.wifi;
  const was = present?.network?.wifi;
  return {
    ...settings,
    backend: {
      ...backend,
      enrolment_key: kept(backend.enrolment_key, present?.backend.enrolment_key, "backend.enrolment_key"),
    },
    ...(network && {
      network: {
        ...network,
        ...(wifi && {
          wifi: { ...wifi, passphrase: kept(wifi.passphrase, was?.passphrase, "network.wifi.passphrase") },
        }),
      },
    }),
  };
}

/** The settings as TOML. */
export const formatSettings = (settings: Settings): string => `${stringify(settings)}\n`;

/** The settings for everybody's eyes: a mark where a secret is. */
export function withoutSecrets(settings: Settings): Settings {
  const { backend, network } = settings;
  const mark = (value: string | undefined) => (value === undefined ? undefined : keptMark);
  return {
    ...settings,
    backend: { ...backend, enrolment_key: mark(backend.enrolment_key) },
    ...(network && {
      network: {
        ...network,
        ...(network.wifi && { wifi: { ...network.wifi, passphrase: mark(network.wifi.passphrase) } }),
      },
    }),
  };
}

const defined = <T extends object>(fields: T): Partial<T> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>;

/** The configuration of `platen-printer` that the settings make. */
export function printerConfigOf({ printer, backend, engine, updates }: Settings): Record<string, unknown> {
  const line = new URLSearchParams(
    defined({ baud: engine.baud?.toString(), rtscts: engine.rtscts?.toString() }) as Record<string, string>,
  ).toString();
  return defined({
    printerId: printer.id,
    media: printer.media,
    resolution: printer.resolution,
    resolutions: printer.resolutions,
    mono: printer.mono,
    simplex: printer.simplex,
    marginUm: printer.margin_um,
    backend: backend.address,
    tls: backend.tls,
    tlsCa: backend.ca === undefined ? undefined : `${configHome}/ca.pem`,
    allowPlaintext: backend.allow_plaintext,
    enrolmentKey: backend.enrolment_key,
    sink: engine.port ? `serial:${engine.port}${line && `?${line}`}` : `png:${platenHome}/sheets`,
    stateDir: `${platenHome}/state`,
    updateChannel: updates?.channel,
  });
}
