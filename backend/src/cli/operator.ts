/** Commands of operators: those of the server's users, and who may. */
import { type Command, Option } from "commander";
import { addServerOptions, callTimeoutMs, type ServerOptions } from "./connection.ts";

export interface OperatorOptions extends ServerOptions {
  operatorKey?: string;
}

export const addOperatorOptions = (command: Command): Command =>
  addServerOptions(command).addOption(
    new Option("--operator-key <key>", "the backend's operator key, where it has one")
      .env("PLATEN_OPERATOR_KEY")
      .helpGroup("Server options:"),
  );

/** Of every call: who calls. */
export const operatorHeaders = ({ operatorKey }: OperatorOptions): { headers: Record<string, string> } => ({
  headers: operatorKey === undefined ? {} : { authorization: `Bearer ${operatorKey}` },
});

/** Of a call that should be answered at once. */
export const operatorCall = (options: OperatorOptions) => ({
  timeoutMs: callTimeoutMs,
  ...operatorHeaders(options),
});
