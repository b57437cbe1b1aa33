/** `platen serve`: runs the roles of the backend until it is told to stop. */
import type { Command } from "commander";
import { backendConfigSchema, parseBackendConfig } from "../config.ts";
import { exitCodeHelp } from "./exit.ts";
import { addSchemaOptions, mergeSettings, settingNames, type Settings } from "./options.ts";
import { interruptible } from "./interrupt.ts";
import { writeJson } from "./reporter.ts";

/** Flags other than those that the fields' names make: short, and the same as those of the clients. */
const flagNames = {
  natsServers: "nats",
  natsCredentialsFile: "nats-credentials",
  tlsCertFile: "tls-cert",
  tlsKeyFile: "tls-key",
  tlsCaFile: "tls-ca",
};

export function addServe(program: Command): void {
  const command = program
    .command("serve")
    .summary("run the backend, or some of its roles")
    .description(
      "Runs the roles of the backend in this process, until SIGINT or SIGTERM. Then it finishes what is under way; a second " +
        "signal ends it at once. Every flag may be given as a variable too: --data-dir is PLATEN_DATA_DIR. " +
        "Flags go before variables, variables before the file of --config. Times take ms, s, m, h, d; sizes KiB, MiB, GiB.",
    )
    .option("--json", "say where it listens as one JSON object")
    .addHelpText(
      "after",
      `
Examples:
  platen serve
  platen serve --data-dir /var/lib/platen --executors 4
  platen serve --roles executor --storage nats --nats nats1:4222,nats2:4222 --data-dir /mnt/shared \\
      --executor-listen 0.0.0.0:6400 --executor-advertise-host worker7 --tls-cert c.pem --tls-key k.pem --tls-ca ca.pem
${exitCodeHelp}`,
    );
  addSchemaOptions(command, backendConfigSchema, flagNames);
  command.action((flags: Settings & { json?: boolean }) =>
    interruptible(async (signal) => {
      const settings = await mergeSettings(backendConfigSchema, { flags, env: process.env }, flagNames);
      const config = parseBackendConfig(settings, settingNames(backendConfigSchema, flagNames));
      // The clients' commands need nothing of the backend, and start quicker without it.
      const { startBackend } = await import("../compose.ts");
      await using backend = await startBackend(config);
      const { grpcAddress, pollAddress, httpAddress, resultUrl, executors } = backend;
      if (flags.json) {
        const where = { grpcAddress, pollAddress, httpAddress, resultUrl, executors };
        writeJson(process.stdout, { type: "ready", roles: config.roles, ...where });
      } else {
        const lines = [
          grpcAddress && `platen: gRPC on ${grpcAddress}`,
          pollAddress && `platen: polls without TLS on ${pollAddress}`,
          resultUrl && `platen: results on ${httpAddress}, for printers at ${resultUrl}`,
          ...executors.map(({ id, address }) => `platen: executor ${id} on ${address}`),
          "platen: ready",
        ];
        process.stdout.write(`${lines.filter(Boolean).join("\n")}\n`);
      }
      await aborted(signal);
      await backend.drain();
    }),
  );
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
