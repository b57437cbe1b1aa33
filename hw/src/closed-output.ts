/** What a command does when nobody reads what it writes any more. */

/** Whoever read the output (`| head`) has seen enough; the work goes on. Call it before anything is written. */
export function bearClosedOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
    });
  }
}
