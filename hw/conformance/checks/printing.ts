/** docs/engine-link.md, sections 6 and 9: pages of all kinds, to the bit. */
import { digestBands } from "../../protocol/index.ts";
import { makeBands, messagesOf, pageMessage, pageMessages, testPage } from "../pages.ts";
import { type Check, printSheet } from "./check.ts";

export const printingChecks: readonly Check[] = [
  {
    name: "prints a blank page",
    async run(host) {
      await host.begin();
      const messages = [pageMessage(host.capabilities, 1), { kind: "page-end", digest: 0 } as const];
      await printSheet(host, { messages, digest: 0 });
    },
  },
  ...(["raw", "packbits", "delta-row", "context"] as const).map(
    (codec): Check => ({
      name: `prints a page coded by ${codec}, to the bit`,
      async run(host) {
        await host.begin();
        if (!host.capabilities.codecs.includes(codec)) return { skipped: "not offered" };
        await printSheet(host, testPage(host.capabilities, codec));
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
      const messages = pageMessages(host.capabilities, page, bands, "raw");
      await printSheet(host, { messages, digest: digestBands(0, bands) });
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
      await printSheet(host, { messages, digest: digestBands(digest, two) });
      return undefined;
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
      const digest = digestBands(0, bands);
      await printSheet(host, { messages: [page, ...messages, { kind: "page-end", digest }], digest });
      const kBps = bytes / (performance.now() - startMs);
      return `${kBps.toFixed(0)} kB/s of raw bands, feeding and stacking counted`;
    },
  },
];
