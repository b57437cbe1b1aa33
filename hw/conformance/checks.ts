/** What docs/engine-link.md asks of an engine, one check each. */
import {
  digestBands,
  encodeAbort,
  encodeFrame,
  encodeHello,
  encodeMessage,
  frameType,
  type Message,
  type PageMessage,
  type Refusal,
} from "../protocol/index.ts";
import { seededRandom } from "../src/link/random.ts";
import { jobMessage, makeBands, messagesOf, newJobKey, pageMessage, pageMessages } from "./pages.ts";
import { expectThat, type RawHost } from "./raw-host.ts";

export interface Check {
  readonly name: string;
  /** Returns what should stand in the report, or why the check does not apply. */
  run(host: RawHost): Promise<string | { readonly skipped: string } | void>;
}

const stackedAs = (host: RawHost, jobKey: string, sheet: number) =>
  host.statusWhere(
    (status) => status.jobKey === jobKey && status.sheetsStacked === sheet,
    `sheet ${sheet} is not reported as stacked`,
  );

/** Prints one sheet of a new job; resolves when it is stacked with the right digest. */
async function printSheet(
  host: RawHost,
  messages: (engine: RawHost["capabilities"]) => Message[],
  digest: number,
) {
  const jobKey = newJobKey();
  await host.send(jobMessage(jobKey), ...messages(host.capabilities), { kind: "job-end" });
  const status = await stackedAs(host, jobKey, 1);
  expectThat(status.refusal === "none", `refused: ${status.refusal}`);
  expectThat(
    status.stackedDigest === digest,
    "the digest of the stacked sheet is not that of the bands sent",
  );
}

/** Sends messages in a new session, the last of which must be refused so. */
async function expectRefusal(host: RawHost, refusal: Refusal, ...messages: Message[]): Promise<void> {
  await host.begin();
  await host.send(jobMessage(newJobKey()), ...messages);
  const status = await host.statusWhere((it) => it.refusal !== "none", `not refused, expected ${refusal}`);
  expectThat(status.refusal === refusal, `refused as ${status.refusal}, not as ${refusal}`);
  const last = messages.length & 0xffff;
  expectThat(status.refusedNumber === last, `refusedNumber is ${status.refusedNumber}, not ${last}`);
  await host.abort();
  expectThat(host.status?.refusal === "none", "the refusal stays after ABORT");
}

const oneBand = (host: RawHost, page: PageMessage, change: object = {}): Message => {
  const rowsPx = 2;
  const bits = new Uint8Array(Math.ceil(page.widthPx / 8) * rowsPx).fill(0x55).subarray(0, 200);
  return {
    kind: "band",
    colorant: host.capabilities.colorants[0]!,
    codec: "raw",
    yPx: 0,
    rowsPx,
    encodedBytes: bits.length,
    bytes: bits,
    ...change,
  } as Message;
};

/** 800 pixels wide, so that a band of two rows is 200 bytes and one message. */
const narrow = (host: RawHost): PageMessage =>
  pageMessage(host.capabilities, 1, { widthPx: 800, heightPx: 20, colorants: host.capabilities.colorants });

export const checks: readonly Check[] = [
  {
    name: "answers HELLO with what it is",
    async run(host) {
      await host.begin();
      const it = host.capabilities;
      const inks = it.colorants.join(", ");
      return `${it.makeAndModel}, serial ${it.serialNumber}, firmware ${it.firmwareVersion}; ${inks}; ${it.resolutionsDpi.join(", ")} dpi; codecs ${it.codecs.join(", ")}; window ${it.windowFrames} × ${it.maxPayloadBytes} bytes`;
    },
  },
  {
    name: "resumes the session that a repeated HELLO names",
    async run(host) {
      await host.begin();
      await host.send(jobMessage(newJobKey()));
      const again = await host.greet(host.session);
      expectThat(again.resumed, "WELCOME to a repeated HELLO does not say resumed");
      await host.sync();
      expectThat(host.expects(1), "a repeated HELLO reset the sequence");
    },
  },
  {
    name: "keeps its boot id while it runs",
    async run(host) {
      const first = await host.begin();
      const second = await host.begin();
      expectThat(first.engineBootId === second.engineBootId, "the engine boot id changed");
    },
  },
  {
    name: "refuses a host with no version in common, and stays in its session",
    async run(host) {
      await host.begin();
      const hello = { minVersion: 200, maxVersion: 201, hostBootId: 7 };
      const answer = await host.greet(host.session ^ 0x5555, hello);
      expectThat(
        answer.version === 0,
        `WELCOME has version ${answer.version} for a host of versions 200 to 201`,
      );
      await host.sync();
    },
  },
  {
    name: "takes the newest common version of a newer host",
    async run(host) {
      await host.begin();
      const answer = await host.greet(host.session, {
        minVersion: 1,
        maxVersion: 255,
        hostBootId: host.bootId,
      });
      expectThat(answer.version === 1, `WELCOME has version ${answer.version}`);
    },
  },
  {
    name: "ignores a HELLO that was under way for long",
    async run(host) {
      await host.begin();
      const late = encodeHello({ minVersion: 1, maxVersion: 1, hostBootId: host.bootId });
      host.unsequenced(frameType.hello, late, (host.session - 3) & 0xffff);
      await host.sync();
    },
  },
  {
    name: "sends STATUS by itself, at least every second",
    async run(host) {
      await host.begin();
      const { heartbeatMs } = host.patience;
      const isStatus = (type: number, session: number): true | undefined =>
        type === frameType.status && session === host.session ? true : undefined;
      for (let i = 0; i < 4; i++) {
        await host.hear(
          `no STATUS for ${heartbeatMs} ms`,
          ({ type, session }) => isStatus(type, session),
          undefined,
          heartbeatMs,
        );
      }
    },
  },
  {
    name: "tells how much is left of its supplies, of inks that it has",
    async run(host) {
      await host.begin();
      const { supplies } = host.status!;
      if (supplies.length === 0) return { skipped: "no sensors" };
      for (const { colorant, levelPercent = 0 } of supplies) {
        expectThat(host.capabilities.colorants.includes(colorant), `${colorant} is no ink of this engine`);
        expectThat(levelPercent <= 100, `${colorant} is at ${levelPercent} %`);
      }
      const of = supplies.map(
        ({ colorant, levelPercent }) =>
          `${colorant} ${levelPercent === undefined ? "unknown" : `${levelPercent} %`}`,
      );
      return of.join(", ");
    },
  },
  {
    name: "answers every PING by ACK and STATUS",
    async run(host) {
      await host.begin();
      const pings = 20;
      const types: number[] = [];
      await host.hear(
        "no answer",
        ({ type }) => {
          types.push(type);
          return type === frameType.welcome ? true : undefined;
        },
        () => {
          for (let i = 0; i < pings; i++) host.unsequenced(frameType.ping, new Uint8Array(0));
          const hello = { minVersion: 1, maxVersion: 1, hostBootId: host.bootId };
          host.unsequenced(frameType.hello, encodeHello(hello));
        },
      );
      for (const [name, type] of [
        ["ACK", frameType.ack],
        ["STATUS", frameType.status],
      ] as const) {
        const count = types.filter((one) => one === type).length;
        expectThat(count >= pings, `${pings} PINGs in a row are answered by ${count} ${name}`);
      }
    },
  },
  {
    name: "prints a blank page",
    async run(host) {
      await host.begin();
      await printSheet(host, (engine) => [pageMessage(engine, 1), { kind: "page-end", digest: 0 }], 0);
    },
  },
  ...(["raw", "packbits", "delta-row", "context"] as const).map(
    (codec): Check => ({
      name: `prints a page coded by ${codec}, to the bit`,
      async run(host) {
        await host.begin();
        if (!host.capabilities.codecs.includes(codec)) return { skipped: "not offered" };
        const page = pageMessage(host.capabilities, 1);
        const bands = makeBands(host.capabilities, page);
        await printSheet(host, (engine) => pageMessages(engine, page, bands, codec), digestBands(0, bands));
        return undefined;
      },
    }),
  ),
  {
    name: "prints the largest page it offers, blank but for its last row",
    async run(host) {
      await host.begin();
      const { maxWidthPx, maxHeightPx, colorants } = host.capabilities;
      const page = pageMessage(host.capabilities, 1, { widthPx: maxWidthPx, heightPx: maxHeightPx });
      const bits = new Uint8Array(Math.ceil(maxWidthPx / 8)).fill(0x81);
      const bands = [{ colorant: colorants[0]!, yPx: maxHeightPx - 1, rowsPx: 1, bits }];
      await printSheet(host, (engine) => pageMessages(engine, page, bands, "raw"), digestBands(0, bands));
    },
  },
  {
    name: "prints both sides of a sheet, with one digest for both",
    async run(host) {
      await host.begin();
      const engine = host.capabilities;
      if (!engine.duplex) return { skipped: "no duplex" };
      const front = pageMessage(engine, 1, { lastOfSheet: false });
      const back = pageMessage(engine, 1, { side: "back" });
      const [one, two] = [makeBands(engine, front, 2), makeBands(engine, back, 3)];
      const digest = digestBands(0, one);
      const messages = [
        ...pageMessages(engine, front, one, "raw"),
        ...pageMessages(engine, back, two, "raw", digest),
      ];
      await printSheet(host, () => messages, digestBands(digest, two));
      return undefined;
    },
  },
  {
    name: "reads frames that come byte by byte",
    async run(host) {
      await host.begin();
      const line = host.frameOf(jobMessage(newJobKey()), 0);
      for (const byte of line) {
        host.line.write(Uint8Array.of(byte));
        await new Promise((resolve) => setImmediate(resolve));
      }
      await host.sync();
      expectThat(host.expects(1), "the frame was not taken");
    },
  },
  {
    name: "drops damaged frames, noise, and frames that never end",
    async run(host) {
      await host.begin();
      const random = seededRandom(9);
      const line = host.frameOf(jobMessage(newJobKey()), 0);
      const hit = line.slice();
      hit[7]! ^= 4;
      host.line.write(hit);
      host.line.write(Uint8Array.from({ length: 300 }, () => Math.floor(random() * 256)));
      host.line.write(new Uint8Array(9000).fill(0x33));
      host.line.write(Uint8Array.of(0, 0, 0));
      await host.sync();
      expectThat(host.expects(0), "a damaged frame was taken");
      host.line.write(line);
      await host.sync();
      expectThat(host.expects(1), "a good frame after noise was not taken");
    },
  },
  {
    name: "ignores frames of other sessions and of unknown types",
    async run(host) {
      await host.begin();
      const message = encodeMessage(jobMessage(newJobKey()));
      host.line.write(encodeFrame({ ...message, session: host.session ^ 1, number: 0 }));
      host.unsequenced(0x0e, new Uint8Array(3));
      await host.sync();
      expectThat(host.expects(0), "a frame of another session was taken");
    },
  },
  {
    name: "puts a window of frames in order that come in reverse, and says which came",
    async run(host) {
      await host.begin();
      const page = narrow(host);
      const bands = makeBands(host.capabilities, page).slice(0, 2);
      const all = [jobMessage(newJobKey()), ...pageMessages(host.capabilities, page, bands, "raw")];
      const messages = all.slice(0, host.capabilities.windowFrames);
      const frames = messages.map((message, i) => host.frameOf(message, i));
      for (const frame of frames.slice(1).toReversed()) host.line.write(frame);
      await host.sync();
      const expected = (1n << BigInt(frames.length - 1)) - 1n;
      expectThat(host.expects(0) && host.ack?.received === expected, "ACK does not list the early frames");
      host.line.write(frames[0]!);
      await host.sync();
      expectThat(host.expects(frames.length), "early frames were not kept");
      const status = await host.sync();
      expectThat(status.refusal === "none", `frames in reverse were refused: ${status.refusal}`);
    },
  },
  {
    name: "takes repeated frames once",
    async run(host) {
      await host.begin();
      const page = pageMessage(host.capabilities, 1);
      const bands = makeBands(host.capabilities, page).slice(0, 1);
      const jobKey = newJobKey();
      const messages = [jobMessage(jobKey), ...pageMessages(host.capabilities, page, bands, "raw")];
      for (const [i, message] of messages.entries()) {
        const again = host.frameOf(message, i);
        await host.send(message);
        host.line.write(again);
        host.line.write(again);
      }
      const status = await stackedAs(host, jobKey, 1);
      expectThat(status.refusal === "none", `a repeated frame was refused: ${status.refusal}`);
      expectThat(host.expects(messages.length), "repeated frames were counted");
    },
  },
  {
    name: "drops a frame beyond the window",
    async run(host) {
      await host.begin();
      host.line.write(host.frameOf({ kind: "job-end" }, host.capabilities.windowFrames));
      await host.sync();
      expectThat(host.ack?.received === 0n, "a frame beyond the window was taken");
    },
  },
  {
    name: "gives back all credit when all is worked off",
    async run(host) {
      await host.begin();
      const whole = host.ack!.credit;
      const page = pageMessage(host.capabilities, 1);
      const bands = makeBands(host.capabilities, page);
      await printSheet(host, (engine) => pageMessages(engine, page, bands, "raw"), digestBands(0, bands));
      await host.statusWhere(() => host.ack!.credit - host.spent === whole, "credit was lost");
      return `${whole} bytes`;
    },
  },
  {
    name: "refuses what cannot be, by its name",
    async run(host) {
      await host.begin();
      const page = narrow(host);
      const band = oneBand(host, page);
      const { maxWidthPx, duplex } = host.capabilities;
      await expectRefusal(host, "unexpected", band);
      await expectRefusal(host, "unexpected", page, { kind: "data", bytes: Uint8Array.of(1) });
      await expectRefusal(host, "unexpected", page, { kind: "job-end" });
      await expectRefusal(host, "unexpected", jobMessage(newJobKey()));
      await expectRefusal(host, "wrong-sheet", { ...page, sheet: 2 });
      await expectRefusal(host, "unsupported", { ...page, widthPx: maxWidthPx + 1 });
      await expectRefusal(host, "unsupported", { ...page, resolutionDpi: 1 });
      if (!duplex) await expectRefusal(host, "unsupported", { ...page, lastOfSheet: false });
      await expectRefusal(host, "band-bounds", page, oneBand(host, page, { yPx: 19 }));
      await expectRefusal(host, "band-bounds", page, oneBand(host, page, { yPx: 0xffff_ffff }));
      await expectRefusal(host, "band-bounds", page, band, band);
      await expectRefusal(host, "band-damaged", page, oneBand(host, page, { encodedBytes: 201 }));
      for (const codec of host.capabilities.codecs) {
        const change = { codec, encodedBytes: 199, bytes: new Uint8Array(199).fill(0xfe) };
        await expectRefusal(host, "band-damaged", page, oneBand(host, page, change));
      }
      await expectRefusal(host, "digest-mismatch", page, band, { kind: "page-end", digest: 1 });
    },
  },
  {
    name: "throws out a page on ABORT, and prints it when it comes again",
    async run(host) {
      await host.begin();
      const jobKey = newJobKey();
      const page = pageMessage(host.capabilities, 1);
      const bands = makeBands(host.capabilities, page);
      const messages = pageMessages(host.capabilities, page, bands, "raw");
      await host.send(jobMessage(jobKey), ...messages.slice(0, 5));
      await host.abort();
      expectThat(host.status?.sheetsStacked === 0 && host.status.sheet === 0, "the sheet is still there");
      await host.send(jobMessage(jobKey), ...messages, { kind: "job-end" });
      await stackedAs(host, jobKey, 1);
      // A late repeat of the ABORT changes nothing.
      host.unsequenced(
        frameType.abort,
        encodeAbort((host.session - 1) & 0xffff),
        (host.session - 2) & 0xffff,
      );
      await host.sync();
    },
  },
  {
    name: "takes an ABORT while all credit is spent",
    async run(host) {
      await host.begin();
      const engine = host.capabilities;
      const page = pageMessage(engine, 1);
      const messages = [
        jobMessage(newJobKey()),
        ...pageMessages(engine, page, makeBands(engine, page), "raw"),
      ];
      // Neither window nor credit is minded: what the engine cannot keep it drops.
      for (const [i, message] of messages.entries()) host.line.write(host.frameOf(message, i));
      await host.abort();
      expectThat(host.expects(0), "the sequence did not begin anew");
    },
  },
  {
    name: "remembers what it stacked for a host that restarts, and never prints it again",
    async run(host) {
      await host.begin();
      const jobKey = newJobKey();
      const blank = (sheet: number): Message[] => [
        pageMessage(host.capabilities, sheet),
        { kind: "page-end", digest: 0 },
      ];
      await host.send(jobMessage(jobKey), ...blank(1), ...blank(2));
      await stackedAs(host, jobKey, 2);
      await host.begin();
      await host.send(jobMessage(jobKey));
      await stackedAs(host, jobKey, 2);
      await host.send(...blank(3));
      await stackedAs(host, jobKey, 3);
      await host.begin();
      await host.send(jobMessage(jobKey), blank(3)[0]!);
      await host.statusWhere((it) => it.refusal === "wrong-sheet", "a stacked sheet was taken again");
    },
  },
  {
    name: "believes a host that knows of more stacked sheets",
    async run(host) {
      await host.begin();
      const jobKey = newJobKey();
      await host.send(jobMessage(jobKey, 41), pageMessage(host.capabilities, 42), {
        kind: "page-end",
        digest: 0,
      });
      await stackedAs(host, jobKey, 42);
    },
  },
  {
    name: "keeps up",
    async run(host) {
      await host.begin();
      const engine = host.capabilities;
      const page = pageMessage(engine, 1, { widthPx: 800, heightPx: Math.min(800, engine.maxHeightPx) });
      const bands = makeBands(engine, page, 5).filter(({ colorant }) => colorant === engine.colorants.at(-1));
      const messages = bands.flatMap((band) => messagesOf(band, page, engine, "raw"));
      const bytes = bands.reduce((sum, band) => sum + band.bits.length, 0);
      const startMs = performance.now();
      const all = [page, ...messages, { kind: "page-end", digest: digestBands(0, bands) } as const];
      await printSheet(host, () => all, digestBands(0, bands));
      const kBps = bytes / (performance.now() - startMs);
      return `${kBps.toFixed(0)} kB/s of raw bands, feeding and stacking counted`;
    },
  },
];
