import { clientCredentials, connect, serve, serverCredentials, UpdateService } from "@platen/proto";
import { expect, test } from "vitest";
import { Updates } from "../app/updates.ts";
import { openTestStorage } from "../testing/test-storage.ts";
import { requireOperator } from "./operator.ts";
import { updateService } from "./updates.ts";

const operatorKey = "who may say so";

test("an operator key opens every call of UpdateService, and nothing else does", async () => {
  await using opened = await openTestStorage("embedded");
  const { keyValue, blobs } = opened.storage;
  const updates = await Updates.open(keyValue, blobs, () => 0);
  await using server = await serve([updateService(updates, operatorKey)], {
    address: "127.0.0.1:0",
    credentials: serverCredentials({}),
  });
  using connection = connect(server.address, clientCredentials({}, false));
  const client = connection.client(UpdateService);
  const bearing = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });
  const noParts = async function* () {};
  for (const options of [{}, bearing("somebody else's")]) {
    const calls = [
      () => client.listUpdates({}, options),
      () => client.setRollout({ version: "1.0.0", channel: "stable", percent: 100 }, options),
      () => client.removeBundle({ sha256Hex: "0".repeat(64) }, options),
      () => client.setKeySet({ keySet: new Uint8Array() }, options),
      () => client.addBundle(noParts(), options),
    ];
    for (const call of calls) await expect(call()).rejects.toMatchObject({ code: "unauthenticated" });
  }
  expect((await client.listUpdates({}, bearing(operatorKey))).bundles).toEqual([]);
});

test("without an operator key only callers on this machine are let through", () => {
  const header = () => undefined;
  expect(() => requireOperator(undefined, { header, loopback: true })).not.toThrow();
  expect(() => requireOperator(undefined, { header, loopback: false })).toThrow("need an operator key");
  expect(() => requireOperator(operatorKey, { header, loopback: true })).toThrow("operator key is wrong");
});
