/** docs/engine-link.md, sections 2 and 5: frames that are cut, damaged, repeated, early or too many; credit. */
import { encodeFrame, encodeMessage } from "../../protocol/index.ts";
import { seededRandom } from "../../src/link/random.ts";
import { jobMessage, makeBands, narrow, newJobKey, pageMessage, pageMessages, testPage } from "../pages.ts";
import { expectThat } from "../raw-host.ts";
import { type Check, printSheet, stackedAs } from "./check.ts";

export const frameChecks: readonly Check[] = [
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
      const page = narrow(host.capabilities);
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
      await printSheet(host, testPage(host.capabilities));
      await host.statusWhere(() => host.ack!.credit - host.spent === whole, "credit was lost");
      return `${whole} bytes`;
    },
  },
];
