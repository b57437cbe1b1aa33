import { describeScenarios } from "./scenarios.ts";
import { embeddedSystem } from "./support/system.ts";

describeScenarios("everything in one process, embedded storage", embeddedSystem);
