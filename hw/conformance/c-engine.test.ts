/** The C engine in trouble: bad lines, no paper, hosts of other versions. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildFirmware, type FirmwareBuild } from "../engine-fw/test/build.ts";
import { bandMessages, digestBands, type Message, ownVersions, type Status } from "../protocol/index.ts";
import { realClock } from "../src/link/clock.ts";
import { FaultyLine, type LineFaults } from "../src/link/faulty-line.ts";
import { HostLink, type LinkEvent } from "../src/link/host-link.ts";
import { processLine } from "../src/link/line.ts";
import { seededRandom } from "../src/link/random.ts";
import { jobMessage, makeBands, newJobKey, pageMessage } from "./pages.ts";

let build: FirmwareBuild;
beforeAll(async () => {
  build = await buildFirmware("posix-engine");
});
afterAll(() => build?.[Symbol.asyncDispose]());

/** A host that is up, and the C engine as a process, with a line between them. */
async function connect(faults: LineFaults, rowsPerMs: number) {
  const engine = await processLine(build.path, [String(rowsPerMs)]);
  const forth = new FaultyLine(realClock, seededRandom(1), { faults }, (bytes) => engine.write(bytes));
  const back = new FaultyLine(realClock, seededRandom(2), { faults }, (bytes) => link.receive(bytes));
  const link = new HostLink(
    { ...ownVersions, bootId: 1, firstSession: 9, payloadBytes: 512, bytesUnderWay: 8192 },
    realClock,
    (bytes) => forth.send(bytes),
  );
  engine.onBytes((bytes) => back.send(bytes));
  link.opened();
  await link.until(() => link.isUp || undefined);
  return {
    link,
    press: engine.press,
    statusWhere: (isSo: (status: Status) => boolean): Promise<Status> =>
      link.until(() => (link.status && isSo(link.status) ? link.status : undefined)),
    /** Sends a sheet of bands in all codecs, each its smallest, and returns its digest. */
    sendSheet(sheet: number): number {
      const capabilities = link.capabilities!;
      const page = pageMessage(capabilities, sheet);
      const bands = makeBands(capabilities, page, sheet);
      const stride = Math.ceil(page.widthPx / 8);
      const digest = digestBands(0, bands);
      const messages: Message[] = [
        page,
        ...bands.flatMap((band) => bandMessages(band, stride, capabilities, link.payloadBytes)),
        { kind: "page-end", digest },
      ];
      for (const message of messages) link.send(message);
      return digest;
    },
    async [Symbol.asyncDispose]() {
      link.stop();
      await engine[Symbol.asyncDispose]();
    },
  };
}

test("prints to the bit over a line that flips, drops, doubles and reorders", async () => {
  const faults = { bitErrorRate: 5e-5, dropRate: 0.01, duplicateRate: 0.02, reorderRate: 0.01, reorderMs: 3 };
  await using rig = await connect(faults, 100);
  const jobKey = newJobKey();
  rig.link.send(jobMessage(jobKey));
  for (let sheet = 1; sheet <= 6; sheet++) {
    const digest = rig.sendSheet(sheet);
    const status = await rig.statusWhere((it) => it.sheetsStacked === sheet || it.refusal !== "none");
    expect(status).toMatchObject({ jobKey, refusal: "none", stackedDigest: digest, sheetsStacked: sheet });
  }
});

test("stops without paper, voids the page, and goes on with it when there is paper again", async () => {
  await using rig = await connect({}, 1);
  const jobKey = newJobKey();
  rig.link.send(jobMessage(jobKey));
  rig.sendSheet(1);
  await rig.statusWhere((it) => it.sheet === 1);
  rig.press("p");
  const stopped = await rig.statusWhere((it) => it.state === "stopped");
  expect(stopped).toMatchObject({ reasons: ["media-empty"], refusal: "stopped", sheet: 0, sheetsStacked: 0 });
  expect(stopped.message).toBe("Load paper.");
  rig.press("P");
  const refilled = await rig.statusWhere((it) => it.state === "idle");
  expect(refilled.refusal).toBe("stopped");
  rig.link.abort();
  await rig.statusWhere((it) => it.refusal === "none");
  rig.link.send(jobMessage(jobKey));
  const digest = rig.sendSheet(1);
  const status = await rig.statusWhere((it) => it.sheetsStacked === 1);
  expect(status.stackedDigest).toBe(digest);
});

describe("versions: the host's state machine and the C engine", () => {
  async function greeting(hostVersions: { minVersion: number; maxVersion: number }): Promise<LinkEvent> {
    await using engine = await processLine(build.path, []);
    const options = { ...hostVersions, bootId: 1, firstSession: 9, payloadBytes: 512, bytesUnderWay: 8192 };
    const link = new HostLink(options, realClock, (bytes) => engine.write(bytes));
    const first = Promise.withResolvers<LinkEvent>();
    link.listen((event) => first.resolve(event));
    engine.onBytes((bytes) => link.receive(bytes));
    link.opened();
    try {
      return await first.promise;
    } finally {
      link.stop();
    }
  }

  test("a newer host that knows version 1 still is taken in version 1", async () => {
    expect(await greeting({ minVersion: 1, maxVersion: 9 })).toMatchObject({ kind: "up", resumed: false });
  });

  test("a newer host that does not is refused, and told what the engine speaks", async () => {
    expect(await greeting({ minVersion: 2, maxVersion: 9 })).toEqual({
      kind: "refused",
      engineMinVersion: 1,
      engineMaxVersion: 1,
    });
  });
});
