/** docs/engine-link.md, sections 6 and 7: what is refused, thrown out, and remembered. */
import {
  encodeAbort,
  frameType,
  type Message,
  type PageMessage,
  type Refusal,
} from "../../protocol/index.ts";
import { jobMessage, narrow, newJobKey, pageMessage, testPage } from "../pages.ts";
import { expectThat, type RawHost } from "../raw-host.ts";
import { type Check, stackedAs } from "./check.ts";

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

export const jobChecks: readonly Check[] = [
  {
    name: "refuses what cannot be, by its name",
    async run(host) {
      await host.begin();
      const page = narrow(host.capabilities);
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
      const { messages } = testPage(host.capabilities);
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
      const messages = [jobMessage(newJobKey()), ...testPage(host.capabilities).messages];
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
];
