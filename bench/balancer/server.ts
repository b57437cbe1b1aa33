/** A server to be called by the benchmark: `node server.ts ID DELAY_MS`, which tells its parent its address. */
import { setTimeout as delay } from "node:timers/promises";
import { bindService, ConversionService, serve, serverCredentials } from "@platen/proto";

const [executorId = "", delayMs = "0"] = process.argv.slice(2);
const answer = { executorId };
const handle = Number(delayMs) > 0 ? () => delay(Number(delayMs), answer) : () => answer;
const service = bindService(ConversionService, {
  requestToken: handle,
  download: handle,
  complete: handle,
  convert: async function* () {
    yield answer;
  },
});
const { address } = await serve([service], {
  address: "127.0.0.1:0",
  credentials: serverCredentials({}),
});
process.send?.({ address });
process.once("disconnect", () => process.exit());
