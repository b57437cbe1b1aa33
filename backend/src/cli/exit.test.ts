import { errorTable, type ErrorCode, JobState, PlatenError } from "@platen/proto";
import { CommanderError } from "commander";
import { describe, expect, test } from "vitest";
import { errorText, exitCodeOf, exitCodeOfJob, exitCodes, interruption, worstOf } from "./exit.ts";

const { COMPLETED, CANCELED, ABORTED } = JobState;

describe("the exit code", () => {
  test.each([
    [[COMPLETED, COMPLETED], exitCodes.done],
    [[COMPLETED, CANCELED], exitCodes.canceled],
    [[CANCELED, ABORTED, COMPLETED], exitCodes.failed],
  ])("of jobs is that of the worst end", (states, code) => {
    expect(worstOf(states.map(exitCodeOfJob))).toBe(code);
  });

  test("of a refusal is worse than that of a canceled job, and not as bad as that of a failed one", () => {
    const { done, failed, refused, canceled } = exitCodes;
    expect(worstOf([done, canceled, refused])).toBe(refused);
    expect(worstOf([refused, failed])).toBe(failed);
    expect(worstOf([])).toBe(done);
  });

  test("tells what the user can mend from what the system has to", () => {
    const refused: ErrorCode[] = [
      "ticket-unsupported",
      "document-format",
      "document-too-large",
      "configuration",
      "job-unknown",
    ];
    for (const code of refused) expect(exitCodeOf(new PlatenError(code, "x"))).toBe(exitCodes.refused);
    const system: ErrorCode[] = ["unavailable", "deadline-exceeded", "internal", "printer-unreachable"];
    for (const code of system) expect(exitCodeOf(new PlatenError(code, "x"))).toBe(exitCodes.system);
    expect(exitCodeOf(new PlatenError("canceled", "x"))).toBe(exitCodes.interrupted);
    expect(exitCodeOf(new TypeError("a bug"))).toBe(exitCodes.system);
    for (const code of Object.keys(errorTable) as ErrorCode[]) {
      expect(exitCodeOf(new PlatenError(code, "x"))).not.toBe(exitCodes.done);
    }
  });

  test("of wrong usage is 2, of help 0", () => {
    expect(exitCodeOf(new CommanderError(1, "commander.unknownOption", "x"))).toBe(exitCodes.refused);
    expect(exitCodeOf(new CommanderError(0, "commander.helpDisplayed", "x"))).toBe(exitCodes.done);
  });
});

describe("an error", () => {
  test("is one line, without a stack", () => {
    const error = new PlatenError("configuration", "listen: must be HOST:PORT\nroles: unknown");
    expect(errorText(error, false)).toBe("platen: listen: must be HOST:PORT; roles: unknown");
    expect(errorText(interruption("the job goes on"), false)).toBe("platen: interrupted: the job goes on");
  });

  test("has its stack and its causes when asked for", () => {
    const error = new PlatenError("unavailable", "no server", { cause: new Error("refused") });
    const text = errorText(error, true)!;
    expect(text).toContain("platen: unavailable: PlatenError: no server");
    expect(text).toContain("exit.test.ts");
    expect(text).toContain("caused by Error: refused");
  });

  test("that commander has told is not told again", () => {
    expect(errorText(new CommanderError(1, "x", "y"), true)).toBeUndefined();
  });
});
