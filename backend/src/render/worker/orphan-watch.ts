/**
 * A thread that ends the worker process when its parent is gone. The IPC channel tells so too, but not to a worker that is
 * caught in an endless loop of a hostile document, and then nobody is left to kill it.
 */
import process from "node:process";

const parent = process.ppid;

setInterval(() => {
  if (process.ppid !== parent) process.kill(process.pid, "SIGKILL");
}, 1000);
