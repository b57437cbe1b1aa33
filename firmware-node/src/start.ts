/** The one place that sees everything: puts a printer together from its configuration, and takes it apart again. */
import { create } from "@bufbuild/protobuf";
import {
  clientCredentials,
  connect,
  loadTls,
  PlatenError,
  PrinterCapabilitiesSchema,
  PrinterMode,
  PrinterQueueService,
  type PrinterCapabilities,
  type PrintStatus,
  requireTlsUnlessLoopback,
  type RunningServer,
  serve,
  serverCredentials,
  SheetBack,
  Sides,
  type TlsMaterial,
  toPlatenError,
} from "@platen/proto";
import { sharpDecoder } from "./adapters/decode.ts";
import { HttpFetch } from "./adapters/http-fetch.ts";
import { loadInkTables, readKernel } from "./adapters/kernel-files.ts";
import { openSink } from "./adapters/sinks.ts";
import { stateFile } from "./adapters/state-file.ts";
import { lockState } from "./adapters/state-lock.ts";
import { ThreadedDots } from "./adapters/threaded-dots.ts";
import { Printer } from "./app/printer.ts";
import { type PrinterConfig, type PrinterSettings, parsePrinterConfig } from "./config.ts";
import { Polling } from "./grpc/polling.ts";
import { printerService } from "./grpc/printer-service.ts";
import { type BackendEvent, Registration } from "./grpc/registration.ts";
import type { EngineCapabilities, EngineDriver, EngineEvent } from "./ports/engine-driver.ts";
import { renderPattern } from "./updates/pattern.ts";
import { type SelfUpdate, startSelfUpdate } from "./updates/self-update.ts";
import type { Supervision } from "./updates/supervised.ts";
import { version } from "./version.ts";

export type PrinterEvent =
  /** Push mode: the printer's server takes calls. */
  | { readonly kind: "listening"; readonly address: string }
  | BackendEvent
  /** A print changed: see PrintStatus. */
  | { readonly kind: "print"; readonly status: PrintStatus }
  | { readonly kind: "engine"; readonly event: EngineEvent }
  /** The printer's own software is kept current: what is done, for people. */
  | { readonly kind: "update"; readonly message: string }
  /** Something was refused that is not tried again; printing goes on. */
  | { readonly kind: "refused"; readonly error: PlatenError };

export interface StartOptions {
  /** The engine, instead of the one that the configuration's sink names. The printer disposes of it. */
  driver?: EngineDriver;
  onEvent?: (event: PrinterEvent) => void;
  /** Where a launcher started this: the printer then keeps its own software current. */
  supervision?: Supervision | undefined;
}

/**
 * A printer at work. Disposing switches it off as a power cut would, but politely: it takes no more jobs, gives up the one it
 * has (which goes on when the printer is back) and says so.
 */
export interface RunningPrinter extends AsyncDisposable {
  readonly printer: Printer;
  /** Push mode: where the printer's server listens, `host:port`. */
  readonly address: string | undefined;
  /** Resolves when the backend knows the printer. */
  readonly registered: Promise<void>;
  /** Never resolves; rejects when the backend refuses the printer, or another thing that somebody has to see to. */
  readonly failed: Promise<never>;
  /** Resolves when the printer should be started anew, with another version; never where nothing supervises it. */
  readonly restart: Promise<void>;
}

/** A connection that has died without a word is noticed by this, and made anew. */
const keepAlive = { "grpc.keepalive_time_ms": 30_000, "grpc.keepalive_timeout_ms": 10_000 };

/** How long the last reports of a printer that is switched off may take, milliseconds. */
const lastReportsMs = 3000;

const capabilitiesOf = (
  config: PrinterConfig,
  { colorants, resolutionsDpi, duplex, makeAndModel }: EngineCapabilities,
): PrinterCapabilities => {
  const resolutionDefaultDpi = resolutionsDpi.includes(config.resolution)
    ? config.resolution
    : resolutionsDpi[0]!;
  return create(PrinterCapabilitiesSchema, {
    makeAndModel,
    firmwareVersion: version,
    colorSupported: colorants.includes("cyan"),
    resolutionsDpi: [...resolutionsDpi],
    resolutionDefaultDpi,
    mediaSupported: [...config.media],
    mediaDefault: config.media[0]!,
    // As wide and as long as A3.
    mediaCustomMaxWidthUm: 297_000,
    mediaCustomMaxHeightUm: 420_000,
    sidesSupported: duplex
      ? [Sides.ONE_SIDED, Sides.TWO_SIDED_LONG_EDGE, Sides.TWO_SIDED_SHORT_EDGE]
      : [Sides.ONE_SIDED],
    sheetBack: SheetBack.NORMAL,
    marginTopUm: config.marginUm,
    marginBottomUm: config.marginUm,
    marginLeftUm: config.marginUm,
    marginRightUm: config.marginUm,
  });
};

/** The printer's server, and the address under which the backend reaches it. */
async function listen(
  config: PrinterConfig,
  tls: TlsMaterial,
  printer: Printer,
): Promise<{ server: RunningServer; advertised: string }> {
  requireTlsUnlessLoopback(config.listen, tls.cert !== undefined, config.allowPlaintext, "--allow-plaintext");
  if (/^(0\.0\.0\.0|\[::\]):/.test(config.listen) && !config.advertise) {
    throw new PlatenError("configuration", `listen ${config.listen} is no address to call: add --advertise`);
  }
  const credentials = serverCredentials(tls);
  const server = await serve([printerService(printer)], { address: config.listen, credentials });
  return { server, advertised: config.advertise ?? server.address };
}

/** Starts a printer. Throws `configuration`, `plaintext-refused` or `engine-offline`. The backend need not be there yet. */
export async function startPrinter(
  settings: PrinterSettings,
  options: StartOptions = {},
): Promise<RunningPrinter> {
  const config = parsePrinterConfig(settings);
  const { onEvent = () => {} } = options;
  const tls = await loadTls({ certFile: config.tlsCert, keyFile: config.tlsKey, caFile: config.tlsCa });
  const secure = config.tls || tls.ca !== undefined;
  requireTlsUnlessLoopback(
    config.backend,
    secure,
    config.allowPlaintext,
    "--allow-plaintext",
    "use --tls or --tls-ca",
  );

  await using started = new AsyncDisposableStack();
  started.use(lockState(config.stateDir, config.printerId));
  const inkTables = await loadInkTables(config);
  const dotMaker = started.use(new ThreadedDots({ wasm: await readKernel() }));
  const driver = started.use(
    options.driver ??
      (await openSink(config.sink, {
        stateDir: config.stateDir,
        mono: config.mono,
        resolutionsDpi: config.resolutions,
        duplex: !config.simplex,
      })),
  );
  const store = started.use(new HttpFetch({ tls, allowPlaintext: config.allowPlaintext }));
  const connection = started.use(connect(config.backend, clientCredentials(tls, secure), keepAlive));
  const pollConnection =
    config.pollBackend && started.use(connect(config.pollBackend, clientCredentials({}, false), keepAlive));
  const queue = connection.client(PrinterQueueService);

  const printer = started.use(
    new Printer({
      printerId: config.printerId,
      capabilitiesOf: (engine) => capabilitiesOf(config, engine),
      driver,
      store,
      decoder: sharpDecoder,
      dotMaker,
      inkTables,
      faultTimeoutMs: config.faultTimeoutS * 1000,
      patienceMs: config.fetchPatienceS * 1000,
      now: Date.now,
      onPrint: (status) => onEvent({ kind: "print", status }),
      onEngine: (event) => onEvent({ kind: "engine", event }),
    }),
  );
  const registered = Promise.withResolvers<void>();
  const selfUpdate: SelfUpdate | undefined =
    options.supervision &&
    started.use(
      await startSelfUpdate({
        supervision: options.supervision,
        printer,
        connection,
        registered: registered.promise,
        printerKey: () => registration.printerKey,
        fetch: store,
        updateBoard: config.updateBoard,
        updateChannel: config.updateChannel,
        renderPattern: async (signal) => {
          const table = await inkTables.tableFor({ media: "default", neutrals: "black" });
          await renderPattern(sharpDecoder, dotMaker, table, signal);
        },
        onStep: (message) => onEvent({ kind: "update", message }),
      }),
    );
  const push = config.mode === "push" ? await listen(config, tls, printer) : undefined;
  if (push) onEvent({ kind: "listening", address: push.server.address });

  const registration = new Registration({
    printer,
    queue,
    keys: stateFile(config.stateDir, config.printerId),
    mode: push ? PrinterMode.PUSH : PrinterMode.POLL,
    address: push?.advertised ?? "",
    enrolmentKey: config.enrolmentKey,
    onEvent: (event) => {
      if (event.kind === "registered") registered.resolve();
      onEvent(event);
    },
  });
  const polling = new Polling({
    printer,
    registration,
    queue,
    pollQueue: pollConnection ? pollConnection.client(PrinterQueueService) : undefined,
    onRefused: (error) => onEvent({ kind: "refused", error }),
  });
  const off = new AbortController();
  const work = push
    ? registration.keep(config.registerIntervalS * 1000, off.signal)
    : polling.run(off.signal);
  const failed = work.catch((error: unknown): Promise<never> => {
    // Switched off: there is nobody left to fail.
    if (off.signal.aborted) return new Promise(() => {});
    throw toPlatenError(error);
  });
  failed.catch((error: unknown) => registered.reject(error));
  registered.promise.catch(() => {});

  const resources = started.move();
  let disposed: Promise<void> | undefined;
  const switchOff = async (): Promise<void> => {
    off.abort();
    await Promise.allSettled([work]);
    await printer[Symbol.asyncDispose]();
    // Watches end with what was said last; health says that no more is taken.
    if (push) await Promise.race([push.server.drain(), expiry(lastReportsMs)]);
    await push?.server[Symbol.asyncDispose]();
    await polling.settle(AbortSignal.timeout(lastReportsMs));
    await resources.disposeAsync();
  };
  return {
    printer,
    address: push?.server.address,
    registered: registered.promise,
    failed,
    restart: selfUpdate?.restart ?? new Promise(() => {}),
    [Symbol.asyncDispose]: () => (disposed ??= switchOff()),
  };
}

const expiry = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
