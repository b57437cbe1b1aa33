import { describeScenarios } from "./scenarios.ts";
import { distributedSystem } from "./support/system.ts";

describeScenarios("two processes of every role, NATS KV", distributedSystem);
