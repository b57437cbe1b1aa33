/** The command as a client: where the server is, how to reach it, and what the calls are. */
import {
  clientCredentials,
  connect,
  hasCode,
  hostPortWords,
  IntakeService,
  isHostPort,
  loadTls,
  PlatenError,
  requireTlsUnlessLoopback,
  type Service,
  type ServiceClient,
} from "@platen/proto";
import { type Command, InvalidArgumentError, Option } from "commander";
import { readSwitch } from "./options.ts";

export type IntakeClient = ServiceClient<typeof IntakeService>;

export interface ServerOptions {
  server: string;
  tls?: boolean;
  tlsCa?: string;
  tlsCert?: string;
  tlsKey?: string;
  allowPlaintext?: boolean;
}

/** How long a call that should be answered at once may take. */
export const callTimeoutMs = 30_000;

function hostPort(text: string): string {
  if (isHostPort(text)) return text;
  throw new InvalidArgumentError(`It ${hostPortWords}.`);
}

export function addServerOptions(command: Command): Command {
  const options = [
    new Option("--server <host:port>", "the server's gRPC address")
      .env("PLATEN_SERVER")
      .default("127.0.0.1:6310")
      .argParser(hostPort),
    new Option("--tls", "use TLS, trusting the system's authorities (env: PLATEN_TLS)"),
    new Option("--tls-ca <file>", "use TLS, trusting these authorities, PEM").env("PLATEN_TLS_CA"),
    new Option("--tls-cert <file>", "certificate of this client, PEM").env("PLATEN_TLS_CERT"),
    new Option("--tls-key <file>", "its private key, PEM").env("PLATEN_TLS_KEY"),
    new Option("--allow-plaintext", "call other machines without TLS (env: PLATEN_ALLOW_PLAINTEXT)"),
  ];
  for (const option of options) command.addOption(option.helpGroup("Server options:"));
  return command;
}

/** Commander takes any value of a switch's variable for "on", also 0 and false. */
function environmentSwitch(variable: string): boolean {
  const value = readSwitch(process.env[variable] ?? "");
  if (typeof value === "boolean") return value;
  throw new PlatenError("configuration", `${variable} must be true or false`);
}

/** Runs an action with a client of the intake. See `withServer`. */
export const withIntake = <T>(
  options: ServerOptions,
  action: (intake: IntakeClient) => Promise<T>,
): Promise<T> => withServer(options, IntakeService, action);

/** Runs an action with a client of the server; tells a server that cannot be reached from other troubles. */
export async function withServer<S extends Service, T>(
  options: ServerOptions,
  service: S,
  action: (client: ServiceClient<S>) => Promise<T>,
): Promise<T> {
  const { server, tlsCa, tlsCert, tlsKey } = options;
  const secure = (options.tls ?? environmentSwitch("PLATEN_TLS")) || Boolean(tlsCa ?? tlsCert);
  const allowPlaintext = options.allowPlaintext ?? environmentSwitch("PLATEN_ALLOW_PLAINTEXT");
  requireTlsUnlessLoopback(server, secure, allowPlaintext, "--allow-plaintext", "use --tls or --tls-ca");
  const tls = await loadTls({ caFile: tlsCa, certFile: tlsCert, keyFile: tlsKey });
  using connection = connect(server, clientCredentials(tls, secure));
  try {
    return await action(connection.client(service));
  } catch (error) {
    if (!hasCode(error, "unavailable")) throw error;
    const { message } = error;
    const question = `is it running, is --server right${secure ? "" : ", does it want TLS"}?`;
    const why = /\bTLS|certificate/.test(message) ? `: ${message}` : ` (${message}): ${question}`;
    throw new PlatenError("unavailable", `cannot reach the server at ${server}${why}`, { cause: error });
  }
}
