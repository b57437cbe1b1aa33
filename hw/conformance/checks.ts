/** What docs/engine-link.md asks of an engine, one check each. */
import type { Check } from "./checks/check.ts";
import { frameChecks } from "./checks/frames.ts";
import { greetingChecks } from "./checks/greeting.ts";
import { jobChecks } from "./checks/jobs.ts";
import { printingChecks } from "./checks/printing.ts";

/** Those that need nobody at the engine. */
export const checks: readonly Check[] = [...greetingChecks, ...printingChecks, ...frameChecks, ...jobChecks];
