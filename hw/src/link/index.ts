/** The engine link at work: both ends, bad lines, and clocks, real and virtual. */
export { type Clock, realClock, VirtualClock } from "./clock.ts";
export { EngineDevice, type EngineMemory, instantMechanics, type Mechanics } from "./engine-device.ts";
export { attachEngine, joinByFaultyLine, type Proxy } from "./join.ts";
export { type Line, type ProcessLine, processLine, ptyLine } from "./line.ts";
export { desktopMechanics, simulatedCapabilities, simulatedCapacityBytes } from "./profile.ts";
export { FaultyLine, type LineCounts, type LineFaults, type LineOptions } from "./faulty-line.ts";
export { HostLink, type LinkEvent } from "./host-link.ts";
export { type Random, randomInt, seededRandom } from "./random.ts";
export { type EngineStats, SimulatedEngine, type SimulatedEngineOptions } from "./simulated-engine.ts";
