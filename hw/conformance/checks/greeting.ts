/** docs/engine-link.md, sections 3, 4 and 8: an engine greets, and says how it is. */
import { encodeHello, frameType } from "../../protocol/index.ts";
import { jobMessage, newJobKey } from "../pages.ts";
import { expectThat } from "../raw-host.ts";
import type { Check } from "./check.ts";

export const greetingChecks: readonly Check[] = [
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
];
