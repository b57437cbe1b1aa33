/** CPU time: of this process, and of programs it calls. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const call = promisify(execFile);

export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** CPU seconds of `work`, all threads of this process. */
export async function ownSeconds(work: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

/** CPU seconds of a shell command and all that it calls; undefined when it fails, as it does where it is not installed. */
export async function commandSeconds(command: string, cwd: string): Promise<number | undefined> {
  try {
    const timed = `TIMEFORMAT='%U %S'; time { ${command} ; } >/dev/null 2>&1 || exit 1`;
    const { stderr } = await call("bash", ["-c", timed], { cwd });
    const [user, system] = stderr.trim().split(/\s+/).slice(-2).map(Number);
    return user! + system!;
  } catch {
    return undefined;
  }
}
