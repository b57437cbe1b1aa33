/** Print systems to compare: each prints a document's pages on A4 at 600 dpi, as four one-bit planes. */

export interface PrintRequest {
  readonly file: string;
  /** From the first page on. */
  readonly pages: number;
}

export interface Printed {
  /** From the command to the end of the job. */
  readonly wallS: number;
  /** From the command to the first sheet; undefined where the system does not tell. */
  readonly firstS?: number;
  /** Of all processes of the system, the command left out where there is a server. */
  readonly cpuS: number;
}

export interface PrintSystem extends AsyncDisposable {
  readonly label: string;
  /** Throws when it does not print. */
  print(request: PrintRequest): Promise<Printed>;
}
