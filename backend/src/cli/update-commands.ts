/** What an operator does about printers' software: add bundles, roll them out, and look after keys. */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { open, readFile, stat, writeFile } from "node:fs/promises";
import { toJson } from "@bufbuild/protobuf";
import { PlatenError, RolloutSchema, RolloutState, UpdateBundleSchema, UpdateService } from "@platen/proto";
import {
  decodeHead,
  headMaxBytes,
  keyIdOf,
  openKeySet,
  signDowngrade,
  signKeySet,
} from "@platen/proto/bundle";
import { type Command, InvalidArgumentError, Option } from "commander";
import { addServerOptions, callTimeoutMs, type ServerOptions, withServer } from "./connection.ts";
import { exitCodeHelp } from "./exit.ts";
import { writeJson } from "./reporter.ts";
import { table } from "./table.ts";

const chunkBytes = 512 * 1024;

interface OperatorOptions extends ServerOptions {
  operatorKey?: string;
}

const addOperatorOptions = (command: Command): Command =>
  addServerOptions(command).addOption(
    new Option("--operator-key <key>", "the backend's operator key, where it has one")
      .env("PLATEN_OPERATOR_KEY")
      .helpGroup("Server options:"),
  );

/** Of every call: who calls. */
const headersOf = ({ operatorKey }: OperatorOptions): { headers: Record<string, string> } => ({
  headers: operatorKey === undefined ? {} : { authorization: `Bearer ${operatorKey}` },
});

const say = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

const readError = (file: string) => (cause: Error) => {
  throw new PlatenError("configuration", `cannot read ${file}: ${cause.message}`, { cause });
};
const bytesOf = (file: string): Promise<Buffer> => readFile(file).catch(readError(file));

async function keyOf(file: string): Promise<KeyObject> {
  const pem = await bytesOf(file);
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw new PlatenError("configuration", `${file} holds no private key in PEM`, { cause });
  }
}

const keysOf = (files: readonly string[]): Promise<KeyObject[]> => Promise.all(files.map(keyOf));

/** A new file: what is there is not overwritten. */
async function writeNew(file: string, bytes: string | Uint8Array, mode = 0o644): Promise<void> {
  await writeFile(file, bytes, { flag: "wx", mode }).catch((cause: Error) => {
    throw new PlatenError("configuration", `cannot write ${file}: ${cause.message}`, { cause });
  });
}

function parsePercent(text: string): number {
  const percent = Number(text.replace(/%$/, ""));
  if (text !== "" && percent >= 0 && percent <= 100) return percent;
  throw new InvalidArgumentError("It must be 0 to 100.");
}

function parseCount(text: string): number {
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a whole number, at least 1.");
}

async function addBundle(file: string, options: OperatorOptions & { keys?: string }): Promise<void> {
  const { size } = await stat(file).catch(readError(file));
  await using bundle = await open(file);
  if (options.keys) {
    const { buffer, bytesRead } = await bundle.read(Buffer.alloc(headMaxBytes), 0, headMaxBytes, 0);
    decodeHead(buffer.subarray(0, bytesRead), openKeySet(await bytesOf(options.keys)));
  }
  const parts = async function* () {
    yield { part: { case: "header", value: { sizeBytes: BigInt(size) } } } as const;
    for (let at = 0; at < size; at += chunkBytes) {
      const { buffer, bytesRead } = await bundle.read(Buffer.alloc(chunkBytes), 0, chunkBytes, at);
      yield { part: { case: "chunk", value: buffer.subarray(0, bytesRead) } } as const;
    }
  };
  const { bundle: added } = await withServer(options, UpdateService, (updates) =>
    updates.addBundle(parts(), headersOf(options)),
  );
  if (added) say(`${added.name} ${added.version} for ${added.board} is added: ${added.sha256Hex}`);
}

interface RolloutOptions extends OperatorOptions {
  channel: string;
  percent?: number;
  board?: string;
  pause?: boolean;
  resume?: boolean;
  stop?: boolean;
  retry?: boolean;
  permit?: string;
}

const stateText: Readonly<Record<number, string>> = {
  [RolloutState.RUNNING]: "running",
  [RolloutState.PAUSED]: "paused",
  [RolloutState.STOPPED]: "stopped",
};

/** What is not asked for stays as it is. */
function wantedState({ stop, pause, resume }: RolloutOptions): RolloutState {
  if (stop) return RolloutState.STOPPED;
  if (pause) return RolloutState.PAUSED;
  return resume ? RolloutState.RUNNING : RolloutState.UNSPECIFIED;
}

async function setRollout(version: string, options: RolloutOptions): Promise<void> {
  const { channel, percent, board = "", retry = false, permit } = options;
  const request = {
    version,
    channel,
    board,
    ...(percent !== undefined && { percent }),
    state: wantedState(options),
    retry,
    downgradePermit: permit ? await bytesOf(permit) : new Uint8Array(),
  };
  const { rollout } = await withServer(options, UpdateService, (updates) =>
    updates.setRollout(request, { timeoutMs: callTimeoutMs, ...headersOf(options) }),
  );
  if (!rollout) return;
  const where = `${rollout.version} on ${rollout.channel} for ${rollout.board}`;
  say(`${where}: ${rollout.percent} %, ${stateText[rollout.state] ?? "unknown"}`);
}

async function list(options: OperatorOptions & { json?: boolean }): Promise<void> {
  const { bundles, rollouts, keySet } = await withServer(options, UpdateService, (updates) =>
    updates.listUpdates({}, { timeoutMs: callTimeoutMs, ...headersOf(options) }),
  );
  if (options.json) {
    for (const bundle of bundles) {
      writeJson(process.stdout, { type: "bundle", ...(toJson(UpdateBundleSchema, bundle) as object) });
    }
    for (const rollout of rollouts) {
      writeJson(process.stdout, { type: "rollout", ...(toJson(RolloutSchema, rollout) as object) });
    }
    return writeJson(process.stdout, { type: "keySet", number: keySet });
  }
  const bundleRows = bundles.map(({ kind, name, version, board, channels, sizeBytes, sha256Hex }) => [
    kind,
    name,
    version,
    board,
    channels.join(","),
    `${(Number(sizeBytes) / 1e6).toFixed(1)} MB`,
    sha256Hex,
  ]);
  process.stdout.write(
    table(["KIND", "NAME", "VERSION", "BOARD", "CHANNELS", "SIZE", "SHA-256"], bundleRows),
  );
  const rolloutRows = rollouts.map(({ channel, board, version, percent, state, attempt, downgrade }) => [
    channel,
    board,
    version,
    `${percent} %`,
    stateText[state] ?? "unknown",
    String(attempt),
    downgrade ? "yes" : "no",
  ]);
  const headings = ["CHANNEL", "BOARD", "VERSION", "PERCENT", "STATE", "ATTEMPT", "STEP BACK"];
  process.stdout.write(`\n${table(headings, rolloutRows)}\nkey set in force: ${keySet || "none"}\n`);
}

async function generateKey(file: string): Promise<void> {
  const { privateKey } = generateKeyPairSync("ed25519");
  await writeNew(file, privateKey.export({ format: "pem", type: "pkcs8" }), 0o600);
  say(`${file} holds the private key ${keyIdOf(privateKey)}: keep it where the backend is not`);
}

interface KeySetOptions {
  number: number;
  root: string[];
  release: string[];
  signWith: string[];
  out: string;
}

async function makeKeySet({ number, root, release, signWith, out }: KeySetOptions): Promise<void> {
  const set = { number, root: await keysOf(root), release: await keysOf(release) };
  await writeNew(out, signKeySet(set, [...set.root, ...(await keysOf(signWith))]));
  say(`${out} is key set ${number}`);
}

async function makePermit(options: {
  from: string;
  bundle: string;
  key: string;
  out: string;
}): Promise<void> {
  await using bundle = await open(options.bundle).catch(readError(options.bundle));
  const { buffer, bytesRead } = await bundle.read(Buffer.alloc(headMaxBytes), 0, headMaxBytes, 0);
  const { manifest } = decodeHead(buffer.subarray(0, bytesRead), undefined);
  const permit = { from: options.from, to: manifest.payload.sha256 };
  await writeNew(options.out, signDowngrade(permit, await keyOf(options.key)));
  say(`${options.out} lets printers go back from ${options.from} to ${manifest.version}`);
}

/** `platen updates …`. */
export function addUpdates(program: Command): void {
  const updates = program
    .command("updates")
    .summary("printers' software: bundles, rollouts, keys")
    .description("Updates the software of printers that platen-boot started: docs/updates.md.")
    .addHelpText(
      "after",
      `
Examples:
  platen updates add platen-1.4.0.bundle
  platen updates rollout 1.4.0 --channel stable --percent 10
  platen updates rollout 1.4.0 --channel stable --percent 100
  platen updates rollout 1.4.0 --channel stable --pause
  platen updates rollout 1.4.0 --channel stable --resume
${exitCodeHelp}`,
    );
  addOperatorOptions(
    updates
      .command("add")
      .description("Adds a bundle; nothing is offered yet.")
      .argument("<file>")
      .option("--keys <file>", "check its signature first, with this key set"),
  ).action(addBundle);
  addOperatorOptions(
    updates
      .command("rollout")
      .description(
        "Offers a version to a part of a channel's printers; again to change that: what is not said stays as it is.",
      )
      .argument("<version>")
      .option("--channel <name>", "where", "stable")
      .option("--percent <n>", "part of the printers, always the same ones first", parsePercent)
      .option("--board <name>", "for which board, where several have the version")
      .addOption(new Option("--pause", "offer it to no more printers for now").conflicts(["resume", "stop"]))
      .addOption(new Option("--resume", "go on after --pause").conflicts("stop"))
      .option("--stop", "offer it no more")
      .option("--retry", "try again where it failed")
      .option("--permit <file>", "a permit to go back to this version: platen updates permit"),
  ).action(setRollout);
  addOperatorOptions(
    updates
      .command("list")
      .description("Lists bundles and rollouts.")
      .option("--json", "one JSON object a line"),
  ).action(list);
  addOperatorOptions(
    updates.command("remove").description("Removes a bundle that is not rolled out.").argument("<sha256>"),
  ).action(async (sha256Hex: string, options: OperatorOptions) => {
    await withServer(options, UpdateService, (client) =>
      client.removeBundle({ sha256Hex }, { timeoutMs: callTimeoutMs, ...headersOf(options) }),
    );
  });
  addOperatorOptions(
    updates
      .command("keys")
      .description("Puts a key set in force: printers take it when the one they have vouches for it.")
      .argument("<file>"),
  ).action(async (file: string, options: OperatorOptions) => {
    const keySet = await bytesOf(file);
    const { number } = await withServer(options, UpdateService, (client) =>
      client.setKeySet({ keySet }, { timeoutMs: callTimeoutMs, ...headersOf(options) }),
    );
    say(`key set ${number} is in force`);
  });
  updates
    .command("keygen")
    .description("Makes an ed25519 key, for signing bundles or key sets.")
    .argument("<file>")
    .action(generateKey);
  updates
    .command("key-set")
    .description("Makes a key set: who may sign bundles (release), and who may sign the next key set (root).")
    .requiredOption("--number <n>", "one more than the key set before", parseCount)
    .requiredOption("--root <files...>", "private root keys; they sign it")
    .requiredOption("--release <files...>", "private release keys")
    .option("--sign-with <files...>", "root keys of the key set before, where they are others", [])
    .requiredOption("--out <file>", "the key set")
    .action(makeKeySet);
  updates
    .command("permit")
    .description("Permits printers to go back from one version to the version of a bundle.")
    .requiredOption("--from <version>", "the version that runs")
    .requiredOption("--bundle <file>", "the version to go back to")
    .requiredOption("--key <file>", "a private release key")
    .requiredOption("--out <file>", "the permit")
    .action(makePermit);
}
