/** What an operator does about printers' software: add bundles, roll them out, and look after keys. */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { type FileHandle, open, readFile, writeFile } from "node:fs/promises";
import { toJson } from "@bufbuild/protobuf";
import {
  PlatenError,
  RolloutSchema,
  RolloutState,
  toPlatenError,
  UpdateBundleSchema,
  UpdateService,
} from "@platen/proto";
import {
  type BundleHead,
  decodeHead,
  headMaxBytes,
  isBundle,
  keyIdOf,
  type KeySet,
  openKeySet,
  signDowngrade,
  signKeySet,
} from "@platen/proto/bundle";
import { type Command, InvalidArgumentError, Option } from "commander";
import { withServer } from "./connection.ts";
import { exitCodeHelp } from "./exit.ts";
import { addOperatorOptions, operatorCall, operatorHeaders, type OperatorOptions } from "./operator.ts";
import { writeJson } from "./reporter.ts";
import { table } from "./table.ts";

const chunkBytes = 512 * 1024;

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

/** A new file: what is there is not overwritten. `what` it is, for people. */
async function writeNew(file: string, what: string, bytes: string | Uint8Array, mode = 0o644): Promise<void> {
  await writeFile(file, bytes, { flag: "wx", mode }).catch((cause: NodeJS.ErrnoException) => {
    const why =
      cause.code === "EEXIST"
        ? `${file} exists: ${what} is never overwritten`
        : `cannot write ${file}: ${cause.message}`;
    throw new PlatenError("configuration", why, { cause });
  });
}

/** What a bundle says it is; its signature is checked only with keys. Throws `update-invalid` with the file's name. */
async function headOf(file: string, bundle: FileHandle, keys?: KeySet): Promise<BundleHead> {
  const { buffer, bytesRead } = await bundle.read(Buffer.alloc(headMaxBytes), 0, headMaxBytes, 0);
  const start = buffer.subarray(0, bytesRead);
  if (!isBundle(start)) throw new PlatenError("update-invalid", `${file} is no bundle`);
  try {
    return decodeHead(start, keys);
  } catch (cause) {
    const { code, message } = toPlatenError(cause);
    throw new PlatenError(code, `${file}: ${message}`, { cause });
  }
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

function parseSha256(text: string): string {
  if (/^[0-9a-f]{64}$/.test(text)) return text;
  throw new InvalidArgumentError("It must be the SHA-256 of a bundle, as platen updates list says it.");
}

async function addBundle(file: string, options: OperatorOptions & { keys?: string }): Promise<void> {
  await using bundle = await open(file).catch(readError(file));
  const { size } = await bundle.stat();
  await headOf(file, bundle, options.keys ? openKeySet(await bytesOf(options.keys)) : undefined);
  const parts = async function* () {
    yield { part: { case: "header", value: { sizeBytes: BigInt(size) } } } as const;
    for (let at = 0; at < size; at += chunkBytes) {
      const { buffer, bytesRead } = await bundle.read(Buffer.alloc(chunkBytes), 0, chunkBytes, at);
      yield { part: { case: "chunk", value: buffer.subarray(0, bytesRead) } } as const;
    }
  };
  const { bundle: added } = await withServer(options, UpdateService, (updates) =>
    updates.addBundle(parts(), operatorHeaders(options)),
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
    updates.setRollout(request, operatorCall(options)),
  );
  if (!rollout) return;
  const where = `${rollout.version} on ${rollout.channel} for ${rollout.board}`;
  say(`${where}: ${rollout.percent} %, ${stateText[rollout.state] ?? "unknown"}`);
}

async function list(options: OperatorOptions & { json?: boolean }): Promise<void> {
  const { bundles, rollouts, keySet } = await withServer(options, UpdateService, (updates) =>
    updates.listUpdates({}, operatorCall(options)),
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
  await writeNew(file, "a key", privateKey.export({ format: "pem", type: "pkcs8" }), 0o600);
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
  await writeNew(out, "a key set", signKeySet(set, [...set.root, ...(await keysOf(signWith))]));
  say(`${out} is key set ${number}`);
}

async function makePermit(options: {
  from: string;
  bundle: string;
  key: string;
  out: string;
}): Promise<void> {
  await using bundle = await open(options.bundle).catch(readError(options.bundle));
  const { manifest } = await headOf(options.bundle, bundle);
  const permit = { from: options.from, to: manifest.payload.sha256 };
  await writeNew(options.out, "a permit", signDowngrade(permit, await keyOf(options.key)));
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
    updates
      .command("remove")
      .description("Removes a bundle that is not rolled out.")
      .argument("<sha256>", "of the bundle: platen updates list", parseSha256),
  ).action(async (sha256Hex: string, options: OperatorOptions) => {
    await withServer(options, UpdateService, (client) =>
      client.removeBundle({ sha256Hex }, operatorCall(options)),
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
      client.setKeySet({ keySet }, operatorCall(options)),
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
