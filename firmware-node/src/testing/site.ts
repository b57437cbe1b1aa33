/** A printer as it is started by a user, the backend that it talks to over gRPC, and result stores; all end with the site. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EngineModel } from "@platen/hw";
import { SimulatedEngine } from "../adapters/simulated-engine.ts";
import type { PrinterSettings } from "../config.ts";
import type { EngineCapabilities } from "../ports/engine-driver.ts";
import { type PrinterEvent, type RunningPrinter, startPrinter } from "../start.ts";
import { makePage } from "./pages.ts";
import { type ResultServer, type ResultServerOptions, startResultServer } from "./result-server.ts";
import { TestBackend } from "./test-backend.ts";

export interface StartedPrinter {
  readonly printer: RunningPrinter;
  readonly model: EngineModel;
  readonly events: readonly PrinterEvent[];
}

export class TestSite implements AsyncDisposable {
  /** Where printers keep their keys. */
  readonly stateDir: string;
  readonly backend: TestBackend;
  readonly #resources: AsyncDisposableStack;

  private constructor(stateDir: string, backend: TestBackend, resources: AsyncDisposableStack) {
    this.stateDir = stateDir;
    this.backend = backend;
    this.#resources = resources;
  }

  static async open(): Promise<TestSite> {
    await using made = new AsyncDisposableStack();
    const stateDir = await mkdtemp(join(tmpdir(), "platen-state-"));
    made.defer(() => rm(stateDir, { recursive: true }));
    const backend = made.use(new TestBackend());
    return new TestSite(stateDir, backend, made.move());
  }

  /** Ends with the site. */
  use<T extends Disposable | AsyncDisposable>(resource: T): T {
    return this.#resources.use(resource);
  }

  /** Two pages, unless the options say otherwise. */
  async serveResults(options: Partial<ResultServerOptions> = {}): Promise<ResultServer> {
    const pages = options.pages ?? [await makePage(1), await makePage(2)];
    return this.use(await startResultServer({ ...options, pages }));
  }

  /** "printer-1" with a simulated engine. */
  async start(
    settings: Partial<PrinterSettings> & Pick<PrinterSettings, "backend" | "mode">,
    capabilities: Partial<EngineCapabilities> = {},
  ): Promise<StartedPrinter> {
    const model = new EngineModel({ keepSheets: true });
    const events: PrinterEvent[] = [];
    const driver = new SimulatedEngine(model, {
      makeAndModel: "test engine",
      colorants: model.inks,
      resolutionsDpi: [300],
      duplex: true,
      ...capabilities,
    });
    const printer = this.use(
      await startPrinter(
        { printerId: "printer-1", stateDir: this.stateDir, ...settings },
        { driver, onEvent: (event) => events.push(event) },
      ),
    );
    return { printer, model, events };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#resources.disposeAsync();
  }
}
