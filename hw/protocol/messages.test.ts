import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FieldReader, FieldWriter, sanitize } from "./bytes.ts";
import {
  decodeAbort,
  decodeAck,
  decodeHello,
  decodeStatus,
  decodeWelcome,
  encodeAck,
  encodeHello,
  encodeStatus,
  encodeWelcome,
  type Status,
} from "./control.ts";
import { capabilities } from "./golden/cases.ts";
import { maxControlPayloadBytes } from "./frame.ts";
import { decodeMessage, encodeMessage, type Message } from "./messages.ts";
import { codecNames, colorants, engineStates, reasons, refusals } from "./words.ts";

const u8 = fc.nat(255);
const u16 = fc.nat(0xffff);
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const key = fc.stringMatching(/^[0-9a-f]{16}$/);
const word = fc.stringMatching(/^[a-z0-9_ ]{0,20}$/).map((text) => text.trim());

const messages: fc.Arbitrary<Message> = fc.oneof(
  fc.record({ kind: fc.constant("job" as const), jobKey: key, sheetsStacked: u32, name: word }),
  fc.record({
    kind: fc.constant("page" as const),
    sheet: u32,
    side: fc.constantFrom("front" as const, "back" as const),
    lastOfSheet: fc.boolean(),
    widthPx: u32,
    heightPx: u32,
    resolutionDpi: u16,
    colorants: fc.subarray([...colorants]),
    mediaWidthUm: u32,
    mediaHeightUm: u32,
    media: word,
  }),
  fc.record({
    kind: fc.constant("band" as const),
    colorant: fc.constantFrom(...colorants),
    codec: fc.constantFrom(...codecNames),
    yPx: u32,
    rowsPx: u16,
    encodedBytes: u32,
    bytes: fc.uint8Array({ maxLength: 50 }),
  }),
  fc.record({ kind: fc.constant("data" as const), bytes: fc.uint8Array({ maxLength: 50 }) }),
  fc.record({ kind: fc.constant("page-end" as const), digest: u32 }),
  fc.constant({ kind: "job-end" as const }),
);

const statuses: fc.Arbitrary<Status> = fc.record({
  state: fc.constantFrom(...engineStates),
  reasons: fc.subarray([...reasons]),
  refusal: fc.constantFrom(...refusals),
  refusedNumber: u16,
  jobKey: key,
  sheetsStacked: u32,
  stackedDigest: u32,
  sheet: u32,
  rowsPrinted: u32,
  cancelPresses: u16,
  supplies: fc.array(
    fc.record({
      colorant: fc.constantFrom(...colorants),
      levelPercent: fc.oneof(fc.nat(100), fc.constant(undefined)),
    }),
    { maxLength: 6 },
  ),
  message: word,
});

test("sequenced messages come back, and with bytes added at the end too unless they carry data", () => {
  fc.assert(
    fc.property(messages, (message) => {
      const { type, payload } = encodeMessage(message);
      expect(decodeMessage(type, payload)).toEqual(message);
      if (message.kind !== "band" && message.kind !== "data") {
        expect(decodeMessage(type, Uint8Array.of(...payload, 1, 2, 3))).toEqual(message);
      }
    }),
  );
});

test("a status comes back, and with bytes of a later version at its end too", () => {
  fc.assert(
    fc.property(statuses, (status) => {
      const payload = encodeStatus(status);
      expect(payload.length).toBeLessThanOrEqual(maxControlPayloadBytes);
      expect(decodeStatus(Uint8Array.of(...payload, 9, 9))).toEqual(status);
    }),
  );
});

test("an acknowledgement and a greeting come back", () => {
  const acks = fc.record({
    expected: u16,
    received: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    credit: u32,
  });
  fc.assert(
    fc.property(acks, (ack) => {
      expect(decodeAck(encodeAck(ack))).toEqual(ack);
    }),
  );
  const hello = { minVersion: 1, maxVersion: 9, hostBootId: 0xffffffff };
  expect(decodeHello(encodeHello(hello))).toEqual(hello);
});

const welcome = {
  minVersion: 1,
  maxVersion: 2,
  version: 1,
  resumed: true,
  hostBootId: 1,
  engineBootId: 0xfffffffe,
  capabilities,
};

describe("capabilities", () => {
  test("come back, at their longest within the limit of unsequenced frames", () => {
    const long = {
      ...capabilities,
      makeAndModel: "é".repeat(100),
      serialNumber: "x".repeat(300),
      resolutionsDpi: Array.from({ length: 100 }, (_, i) => 100 + i),
    };
    const payload = encodeWelcome({ ...welcome, capabilities: long });
    expect(payload.length).toBeLessThanOrEqual(maxControlPayloadBytes);
    expect(decodeWelcome(payload)?.capabilities?.makeAndModel).toBe("é".repeat(31));
    expect(decodeWelcome(encodeWelcome(welcome))).toEqual(welcome);
  });

  test.each([
    ["no ink", { colorants: [] }],
    ["no resolution", { resolutionsDpi: [] }],
    ["resolutions in disorder", { resolutionsDpi: [600, 300] }],
    ["no window", { windowFrames: 0 }],
    ["a window of more than 64", { windowFrames: 65 }],
    ["payloads too small to talk", { maxPayloadBytes: 63 }],
    ["payloads beyond the limit", { maxPayloadBytes: 4097 }],
    ["bands smaller than a row", { maxBandBytes: 637 }],
    ["no width", { maxWidthPx: 0 }],
  ])("with %s are refused", (_, change) => {
    expect(
      decodeWelcome(encodeWelcome({ ...welcome, capabilities: { ...capabilities, ...change } })),
    ).toBeUndefined();
  });

  test("of a refusing engine are not looked for", () => {
    const refusing = { ...welcome, version: 0, capabilities: undefined };
    expect(decodeWelcome(encodeWelcome(refusing))).toEqual(refusing);
  });
});

test("identification strings cannot reach a terminal's controls, nor turn text around", () => {
  const hostile = "\u001b]0;owned\u0007Acme\u202Egpj.exe\u2028\u0000\u009b31m";
  const decoded = decodeWelcome(
    encodeWelcome({ ...welcome, capabilities: { ...capabilities, makeAndModel: hostile } }),
  );
  expect(decoded?.capabilities?.makeAndModel).toMatch(/^[\uFFFD -~]*$/);
  // The reader does not rely on the writer's manners.
  const rude = new FieldWriter()
    .u8(4)
    .bytes(Uint8Array.of(0x1b, 0x5b, 0xff, 0x41))
    .finish();
  expect(new FieldReader(rude).text()).toBe("\uFFFD[\uFFFDA");
  expect(sanitize("Größe 日本 ✓")).toBe("Größe 日本 ✓");
});

test("no payload from the line makes a decoder throw, and one cut short is refused", () => {
  const decoders = [decodeHello, decodeWelcome, decodeAck, decodeStatus, decodeAbort];
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), u8, (payload, type) => {
      for (const decode of decoders) decode(payload);
      decodeMessage(type, payload);
    }),
    { numRuns: 2000 },
  );
  const status = encodeStatus(fc.sample(statuses, { numRuns: 1, seed: 1 })[0]!);
  for (let cut = 0; cut < status.length; cut++) expect(decodeStatus(status.subarray(0, cut))).toBeUndefined();
  const full = encodeWelcome(welcome);
  for (let cut = 0; cut < full.length; cut++) expect(decodeWelcome(full.subarray(0, cut))).toBeUndefined();
});
